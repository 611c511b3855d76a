"""Studies to look at: real ones, of a model whose words are made up."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import Trial

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.llms import LLM, Request
from optuna_llm_sampler.testing import FakeLLM

from .fakes import properties


SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-6, 1e-1, log=True),
    "batch_size": CategoricalDistribution([32, 64, 128, 256]),
    "n_layers": IntDistribution(1, 12),
    "dropout": FloatDistribution(0.0, 0.6),
}
WHYS = (
    "A small learning rate with a medium batch is what fine-tuning recipes start from.",
    "Larger batches allow a larger learning rate; dropout keeps the small data set in check.",
    "Fewer layers train faster and often suffice for short customer queries.",
    "Two orders of magnitude lower, in case the encoder is fragile.",
    "No dropout at all, to see whether the model is under-fitted.",
)
NOTE = (
    "Short texts with many similar intents: a low learning rate around 3e-4 matters most, depth "
    "hardly at all, and dropout above 0.3 probably hurts."
)


def knowing(request: Request) -> str:
    """A model that knows roughly where the optimum of :func:`objective` is."""
    rng = random.Random(len(request.messages[-1]["content"]))
    configs = [
        {
            "learning_rate": 3e-4 * 10 ** rng.uniform(-1, 1),
            "batch_size": rng.choice(["32", "64", "128"]),
            "n_layers": rng.randint(3, 14),
            "dropout": round(rng.uniform(0, 0.4), 2),
            "why": WHYS[i % len(WHYS)],
        }
        for i in range(8)
    ]
    return json.dumps({"configs": configs, "note": NOTE})


def objective(trial: Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-6, 1e-1, log=True)
    batch = trial.suggest_categorical("batch_size", [32, 64, 128, 256])
    layers = trial.suggest_int("n_layers", 1, 12)
    dropout = trial.suggest_float("dropout", 0.0, 0.6)
    off = abs(math.log10(rate / 3e-4))
    value = 0.93 - 0.08 * off**1.5 - 0.001 * abs(batch - 64) ** 0.5
    return float(value - 0.1 * (dropout - 0.1) ** 2 - 0.002 * abs(layers - 6))


def rough(trial: Trial) -> float:
    """The same, but some trials fail and some are pruned."""
    value = objective(trial)
    if trial.number % 7 == 3:
        raise MemoryError("CUDA out of memory")
    trial.report(value - 0.1, 0)
    if trial.number % 5 == 4:
        raise optuna.TrialPruned
    return value


def two(trial: Trial) -> tuple[float, float]:
    value = objective(trial)
    return value, 10.0 + 5 * trial.params["n_layers"]


def tuned(
    n: int = 24,
    *,
    of: Any = rough,
    llm: LLM | None = None,
    callbacks: Any = None,
    n_configs: int | None = None,
    **options: Any,
) -> Study:
    """A study that the sampler ran, with failed and pruned trials and several advices."""
    directions = ["maximize", "minimize"] if of is two else ["maximize"]
    sampler = LLMSampler(
        llm or FakeLLM(knowing),
        task="Fine-tune a small transformer on 10,000 customer queries, 77 intents; accuracy.",
        search_space=SPACE,
        base_sampler=TPESampler(seed=0),
        llm_share=0.5,
        n_configs=n_configs,
        seed=0,
    )
    study = optuna.create_study(
        **{"study_name": "customer-service", "directions": directions, **options},
        sampler=sampler,
    )
    study.optimize(of, n_trials=n, catch=MemoryError, callbacks=callbacks)
    return study


HOSTILE = (
    "<img src=x onerror=alert(1)> **bold** [click](http://evil.example/x) $x^2$ | cell "
    "http://evil.example www.evil.example <b>tag</b> `code` \x1b[31mred"
)


def hostile(request: Request) -> str:
    """A model that tries to get markup into everything that is shown."""
    config = dict.fromkeys(properties(request), 1)
    return json.dumps({"configs": [{**config, "why": HOSTILE}], "note": HOSTILE})
