"""A study that is recorded in one process and replayed in another.

``python -m tests.support.recorded FILE`` replays it and prints, as JSON, its trials, what was
asked that was not recorded, and which packages of back ends were imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.trial import Trial

from optuna_llm_sampler import LLMSampler, Replay
from optuna_llm_sampler.llms import LLM


N_TRIALS = 30
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-6, 1e-1, log=True),
    "batch_size": IntDistribution(8, 256, log=True),
    "optimizer": CategoricalDistribution(["adamw", "sgd", None]),
}


def objective(trial: Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-6, 1e-1, log=True)
    size = trial.suggest_int("batch_size", 8, 256, log=True)
    kind = trial.suggest_categorical("optimizer", ["adamw", "sgd", None])
    if trial.number % 7 == 3:
        raise ValueError("out of memory")
    return abs(rate - 1e-3) * size + (kind is None)


def run(llm: LLM, n_trials: int = N_TRIALS) -> list[dict[str, Any]]:
    """Run the study and return its trials, bit by bit but without times."""
    sampler = LLMSampler(
        llm,
        task="BERT is fine-tuned to classify 10,000 customer-service queries.",
        search_space=SPACE,
        base_sampler=TPESampler(seed=5),
        llm_share=0.5,
        seed=5,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=n_trials, catch=ValueError)
    return [
        {
            "params": {name: repr(value) for name, value in trial.params.items()},
            "values": repr(trial.values),
            "state": trial.state.name,
            "attrs": trial.user_attrs,
        }
        for trial in study.trials
    ]


def main(path: str, n_trials: int) -> None:
    replay = Replay(path)
    trials = run(replay, n_trials)
    report = {
        "trials": trials,
        "misses": [str(miss) for miss in replay.misses],
        "unused": replay.unused,
        "imported": sorted({"openai", "httpx", "xllamacpp", "transformers"} & set(sys.modules)),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
