"""A search space with every kind of parameter, and short ways to run a study on it."""

from __future__ import annotations

import json
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import Trial

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-10, 10),
    "y": FloatDistribution(1e-5, 1e-1, log=True),
    "n": IntDistribution(1, 9),
    "kind": CategoricalDistribution(["a", "b", None]),
}
POINT = {"x": 1.5, "y": 1e-3, "n": 4, "kind": "b"}


def objective(trial: Trial) -> float:
    x = trial.suggest_float("x", -10, 10)
    y = trial.suggest_float("y", 1e-5, 1e-1, log=True)
    n = trial.suggest_int("n", 1, 9)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    return float(x**2 + y + n + (kind == "b"))


def says(*configs: dict[str, Any], **more: Any) -> FakeLLM:
    return FakeLLM(lambda request: json.dumps({"configs": list(configs), **more}))


def sampler_on(llm: FakeLLM, **arguments: Any) -> LLMSampler:
    """The sampler on a base that costs no time."""
    return LLMSampler(llm, **{"base_sampler": TPESampler(seed=0), "seed": 0, **arguments})


def run(sampler: BaseSampler, n: int = 12, **options: Any) -> Study:
    study = optuna.create_study(sampler=sampler, **options)
    study.optimize(objective, n_trials=n)
    return study


def sources(study: Study) -> list[str]:
    return [trial.user_attrs["llm_source"] for trial in study.trials]


def params(study: Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]
