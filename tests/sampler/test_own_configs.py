"""What the user trusts is tried first: as soon as possible, once, whatever came before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import json
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import create_trial, Trial
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {n: FloatDistribution(0.0, 1.0) for n in "xy"}
DEFAULT = {"x": 0.25, "y": 0.75}
NEAR = [{"x": 0.1, "y": 0.1}, {"x": 0.1, "y": 0.3}, {"x": 0.4, "y": 0.1}]


def objective(trial: Trial) -> float:
    return trial.suggest_float("x", 0.0, 1.0) + trial.suggest_float("y", 0.0, 1.0)


def answer(request: Request) -> str:
    return json.dumps({"configs": [{"x": 0.5 + i / 50, "y": 0.5} for i in range(8)]})


def sampler(**arguments: Any) -> LLMSampler:
    return LLMSampler(
        FakeLLM(answer),
        **{
            "base_sampler": RandomSampler(),
            "search_space": SPACE,
            "defaults": DEFAULT,
            "prefetch": False,
            **arguments,
        },
    )


def earlier() -> Study:
    study = optuna.create_study()
    for params in [*NEAR, *({"x": 0.9, "y": 0.05 * i} for i in range(9))]:
        study.add_trial(
            create_trial(value=sum(params.values()), params=params, distributions=SPACE)
        )
    return study


def as_it_is(study: Study) -> None:
    pass


def with_enqueued(study: Study) -> None:
    for x in (0.9, 0.8):
        study.enqueue_trial({"x": x, "y": x})


def with_added(study: Study) -> None:
    for x in (0.9, 0.8, 0.7):
        study.add_trial(create_trial(value=x, params={"x": x, "y": x}, distributions=SPACE))


def after_others(study: Study) -> None:
    own, study.sampler = study.sampler, RandomSampler()
    study.optimize(objective, n_trials=7)
    study.sampler = own


BEFORE: list[Callable[[Study], None]] = [as_it_is, with_enqueued, with_added, after_others]


def tried(study: Study) -> Counter[str]:
    return Counter(
        json.dumps(t.params, sort_keys=True)
        for t in study.trials
        if t.user_attrs.get("llm_source") in ("defaults", "history")
    )


@pytest.mark.parametrize("n_jobs", [1, 8])
@pytest.mark.parametrize("before", BEFORE)
def test_each_is_tried_once_before_the_model_and_never_again(
    before: Callable[[Study], None], n_jobs: int
) -> None:
    study = optuna.create_study(sampler=sampler(history=[earlier()]))
    before(study)
    n = len(study.trials)
    study.optimize(objective, n_trials=n + 12, n_jobs=n_jobs)
    own = [json.dumps(params, sort_keys=True) for params in (DEFAULT, *NEAR)]
    assert tried(study) == Counter(own)
    numbers = [
        t.number for t in study.trials if t.user_attrs.get("llm_source") in ("defaults", "history")
    ]
    # As soon as possible: whatever was there, and trials of other workers that began meanwhile.
    assert max(numbers) <= n + 3 + (n_jobs if n_jobs > 1 else 0)
    if n_jobs == 1:
        assert study.trials[n].params == DEFAULT
    study.sampler = sampler(history=[earlier()])  # another worker, or the next day
    study.optimize(objective, n_trials=5)
    assert tried(study) == Counter(own)


def test_what_the_user_enqueued_himself_is_not_tried_twice() -> None:
    study = optuna.create_study(sampler=sampler())
    study.enqueue_trial(DEFAULT)
    study.optimize(objective, n_trials=4)
    assert [t.params for t in study.trials].count(DEFAULT) == 1
    assert study.trials[1].user_attrs["llm_source"] == "llm"


def test_a_failed_one_is_not_tried_again() -> None:
    study = optuna.create_study(sampler=sampler())
    study.optimize(lambda t: objective(t) / 0, n_trials=1, catch=ZeroDivisionError)
    study.optimize(objective, n_trials=3)
    assert [t.params for t in study.trials].count(DEFAULT) == 1


def test_defaults_are_tried_with_the_model_turned_off() -> None:
    study = optuna.create_study(sampler=sampler(llm_share=0))
    study.optimize(objective, n_trials=4)
    assert [t.user_attrs["llm_source"] for t in study.trials] == ["defaults"] + ["base"] * 3


def test_enqueued_trials_use_up_none_of_the_models_ideas() -> None:
    study = optuna.create_study(sampler=sampler(defaults=None, llm_share=1.0))
    study.optimize(objective, n_trials=1)
    with_enqueued(study)
    study.optimize(objective, n_trials=5)
    sources = [t.user_attrs["llm_source"] for t in study.trials]
    assert sources == ["llm", "enqueued", "enqueued", "llm", "llm", "llm"]
    mine = [t.params["x"] for t in study.trials if t.user_attrs["llm_source"] == "llm"]
    assert mine == pytest.approx([0.5, 0.52, 0.54, 0.56])
