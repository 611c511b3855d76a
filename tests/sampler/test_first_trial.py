"""The first trial where the model does not choose it: documented defaults, or the middle."""

from __future__ import annotations

import importlib
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import Trial
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._advice.documented.loaded import loaded_estimators
from optuna_llm_sampler._advice.documented.match import Estimator
from optuna_llm_sampler._sampler import own_configs
from optuna_llm_sampler.errors import AuthenticationError
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support import mixed
from ..support.mixed import params, sampler_on, says, sources


SVC: dict[str, BaseDistribution] = {
    "C": FloatDistribution(1e-2, 1e3, log=True),
    "gamma": FloatDistribution(1e-4, 1e2, log=True),
}
DOCUMENTED = {"C": 1.0, "gamma": pytest.approx(0.1)}


@pytest.fixture(autouse=True)
def _imported() -> None:
    pytest.importorskip("sklearn")
    importlib.import_module("sklearn.svm")


def svc(trial: Trial) -> float:
    return trial.suggest_float("C", 1e-2, 1e3, log=True) + trial.suggest_float(
        "gamma", 1e-4, 1e2, log=True
    )


def small() -> FakeLLM:
    """A model that is asked as code, and has another idea in each sample."""
    values = iter(range(1, 1000))
    return FakeLLM(lambda request: f"C={next(values) / 10}, gamma=0.5)", style="code")


def dead(request: Request) -> str:
    raise AuthenticationError("no key")


def run(n: int, llm: FakeLLM | None = None, n_jobs: int = 1, **arguments: Any) -> Study:
    sampler = LLMSampler(
        llm or small(),
        **{"base_sampler": RandomSampler(seed=1), "search_space": SVC, "seed": 1, **arguments},
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(svc, n_trials=n, n_jobs=n_jobs)
    return study


# --- documented defaults --------------------------------------------------------------------


def test_documented_defaults_come_before_the_ideas_of_a_small_model() -> None:
    study = run(4)
    assert sources(study) == ["defaults", "llm", "llm", "llm"]
    first = study.trials[0]
    assert first.params == DOCUMENTED
    assert first.user_attrs["llm_why"] == "defaults of sklearn.svm.SVC, SVR or NuSVR: C=1.0"
    assert "llm_from_base" not in first.user_attrs


def test_words_in_the_task_say_which_class_is_meant() -> None:
    study = run(1, task="An SVC on 569 tumours; accuracy.")
    assert study.trials[0].user_attrs["llm_why"] == "defaults of sklearn.svm.SVC: C=1.0"


def test_a_branch_is_tried_with_its_defaults() -> None:
    def objective(trial: Trial) -> float:
        if trial.suggest_categorical("model", ["custom", "svm"]) == "svm":
            trial.suggest_float("svm_C", 1e-2, 1e3, log=True)
            trial.suggest_float("svm_gamma", 1e-4, 1e2, log=True)
        else:
            trial.suggest_float("custom_width", 0.0, 1.0)
        return 0.0

    llm = FakeLLM(dead)
    study = optuna.create_study(sampler=sampler_on(llm, search_space=objective))
    study.optimize(objective, n_trials=2)
    assert sources(study) == ["defaults", "fallback:authentication"]
    assert params(study)[0] == {"model": "svm", "svm_C": 1.0, "svm_gamma": pytest.approx(0.1)}


def test_the_small_model_is_asked_the_same_with_and_without_them() -> None:
    asked = {}
    for documented in (True, False):
        llm = small()
        run(3, llm, documented_defaults=documented)
        asked[documented] = [request.messages for request in llm.requests]
    assert asked[True] == asked[False]
    assert len(asked[True]) == 1


def test_they_can_be_switched_off() -> None:
    assert sources(run(2, documented_defaults=False)) == ["llm", "llm"]
    with pytest.raises(ValueError, match="documented_defaults must be True or False"):
        LLMSampler("off", documented_defaults="no")  # type: ignore[arg-type]


def test_what_the_user_trusts_comes_instead() -> None:
    study = run(3, defaults={"C": 7.0, "gamma": 0.2})
    assert params(study)[0] == {"C": 7.0, "gamma": 0.2}
    assert sources(study).count("defaults") == 1


def test_a_larger_model_is_not_preceded_by_them_but_replaced_if_it_cannot_be_used() -> None:
    assert sources(run(2, says({"C": 5.0, "gamma": 1.0}))) == ["llm", "fallback:unusable_answer"]
    study = run(3, FakeLLM(dead))
    assert sources(study) == ["defaults", *["fallback:authentication"] * 2]
    assert params(study)[0] == DOCUMENTED


def test_without_a_search_space_they_are_tried_once_it_is_known() -> None:
    study = run(3, search_space=None)
    assert sources(study) == ["base", "defaults", "llm"]
    assert params(study)[1] == DOCUMENTED
    study = run(3, FakeLLM(dead), search_space=None)
    assert sources(study) == ["base", "defaults", "fallback:authentication"]


@pytest.mark.parametrize("llm", [small(), FakeLLM(dead)])
def test_they_are_tried_once_by_all_workers(llm: FakeLLM) -> None:
    study = run(12, llm, n_jobs=4, seed=None)
    assert sources(study).count("defaults") == 1
    study.sampler = LLMSampler(llm, search_space=SVC)  # the next day
    study.optimize(svc, n_trials=3)
    assert sources(study).count("defaults") == 1


def test_a_model_that_is_off_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = optuna.create_study(sampler=RandomSampler(seed=1))
    alone.optimize(svc, n_trials=4)
    assert params(run(4, llm_share=0)) == params(alone)
    monkeypatch.setenv("OPTUNA_LLM", "off")
    study = run(4, search_space=None)
    assert params(study) == params(alone)
    assert set(sources(study)) == {"base"}


@pytest.mark.parametrize(
    ("llm", "n"),
    [(small(), 1), (FakeLLM(dead), 1), (says(*({"C": float(i)} for i in range(1, 20))), 0)],
)
def test_the_libraries_are_looked_through_once_or_not_at_all(
    llm: FakeLLM, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[Estimator, ...]] = []

    def look() -> tuple[Estimator, ...]:
        looked.append(loaded_estimators())
        return looked[-1]

    monkeypatch.setattr(f"{own_configs.__name__}.loaded_estimators", look)
    run(12, llm)
    assert len(looked) == n


# --- an unknown search space ----------------------------------------------------------------


MIDDLE = {"x": 0.0, "y": pytest.approx(1e-3), "n": 5, "kind": "a"}


def test_the_first_trial_is_at_the_middle_while_the_space_is_unknown() -> None:
    study = mixed.run(sampler_on(says(mixed.POINT)), 2)
    assert params(study) == [MIDDLE, mixed.POINT]
    assert sources(study) == ["base", "llm"]
    assert "llm_from_base" not in study.trials[0].user_attrs


def test_defaults_win_over_the_middle() -> None:
    study = mixed.run(sampler_on(says(mixed.POINT), defaults={"x": 9.0}), 1)
    assert params(study) == [{**MIDDLE, "x": 9.0}]
    assert sources(study) == ["defaults"]


def test_trials_that_start_beside_the_first_are_drawn() -> None:
    study = optuna.create_study(sampler=sampler_on(says(mixed.POINT)))
    trials = [study.ask() for _ in range(3)]
    for trial in trials:
        mixed.objective(trial)
    assert trials[0].params == MIDDLE
    assert trials[1].params != MIDDLE != trials[2].params != trials[1].params


@pytest.mark.parametrize(("style", "is_shown"), [("code", False), ("json", True)])
def test_a_small_model_is_not_shown_a_trial_that_nobody_chose(style: str, is_shown: bool) -> None:
    llm = FakeLLM(lambda request: "", style=style)
    study = mixed.run(sampler_on(llm), 2)
    text = str(llm.requests[0].messages)
    assert f"{study.trials[0].values[0]:.4g}" == "5.001"
    assert ("5.001" in text or "Results so far" in text) == is_shown


def test_a_small_model_is_shown_what_the_user_chose() -> None:
    llm = FakeLLM(lambda request: "", style="code")
    mixed.run(sampler_on(llm, defaults={"x": 9.0}), 2)
    assert "Results so far" in str(llm.requests[0].messages)
