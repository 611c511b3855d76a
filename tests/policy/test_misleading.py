"""A model whose trials are all bad: the base sampler goes on as if they were not there."""

from __future__ import annotations

import json

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial
import pytest

from optuna_llm_sampler import DefaultBaseSampler, LLMSampler
from optuna_llm_sampler._sampler import default_base
from optuna_llm_sampler._study.optuna_internals import sampled_trials
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.report.text import comparison
from optuna_llm_sampler.testing import FakeLLM


N_TRIALS = 15  # then the model has lost its share, and there are trials of both
SPACE: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "x": FloatDistribution(0.0, 1.0),
    "y": FloatDistribution(0.0, 1.0),
}


def objective(trial: Trial) -> float:
    """The kind ``b`` has the best values, where x is near 0.3, and beyond 0.9 the worst ones."""
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    x, y = (trial.suggest_float(name, 0.0, 1.0) for name in "xy")
    if kind == "b":
        return 10.0 if x > 0.9 else (x - 0.3) ** 2 + 0.01 * y
    return 1.0 + x


class Adviser:
    """Proposes the worst points, all different, or the best ones from some request on."""

    def __init__(self, good_from: int = 100) -> None:
        self._n, self._good_from = 0, good_from

    def __call__(self, request: Request) -> str:
        self._n += 1
        x = 0.3 if self._n >= self._good_from else 0.95
        ys = [(0.618 * (4 * self._n + i)) % 1.0 for i in range(4)]
        return json.dumps({"configs": [{"kind": "b", "x": x, "y": y} for y in ys]})


def tuned(good_from: int = 100, n: int = N_TRIALS) -> Study:
    sampler = LLMSampler(FakeLLM(Adviser(good_from)), search_space=SPACE, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=n)
    return study


def is_models(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs["llm_source"] == "llm")


def next_of(sampler: BaseSampler, trials: list[FrozenTrial]) -> dict[str, object]:
    """Return what a sampler proposes after some trials."""
    study = optuna.create_study(sampler=sampler)
    study.add_trials(trials)
    study.optimize(objective, n_trials=1)
    return study.trials[-1].params


@pytest.fixture(params=["torch", "numpy"])
def _with_and_without_torch(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param == "torch":
        pytest.importorskip("torch")
    else:
        monkeypatch.setattr(default_base, "_has_torch", lambda: False)


@pytest.mark.usefixtures("_with_and_without_torch")
def test_the_base_sampler_proposes_what_it_would_without_the_model() -> None:
    study = tuned()
    own = [trial for trial in study.trials if not is_models(trial)]
    assert 3 <= len(own) <= N_TRIALS - 2
    study.sampler = LLMSampler(FakeLLM(lambda request: ""), search_space=SPACE, seed=7)
    study.optimize(objective, n_trials=1)
    assert not is_models(study.trials[-1])
    assert study.trials[-1].params == next_of(DefaultBaseSampler(seed=7), own)
    everything = study.trials[:-1]
    assert study.trials[-1].params != next_of(DefaultBaseSampler(seed=7), everything)


def test_the_best_branch_is_not_lost_because_the_worst_points_are_there() -> None:
    study = tuned(n=30)
    own = [trial for trial in study.trials if not is_models(trial)]
    assert sum(trial.params["kind"] == "b" for trial in own) >= 10
    assert study.best_value < 0.01


def test_what_the_model_has_tried_is_not_tried_again() -> None:
    def choice(trial: Trial) -> float:
        return abs(trial.suggest_int("n", 0, 19) - 3)

    answers = iter(range(100))
    sampler = LLMSampler(
        FakeLLM(lambda request: json.dumps({"configs": [{"n": 19 - next(answers) % 8}] * 4})),
        search_space={"n": IntDistribution(0, 19)},
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(choice, n_trials=20)
    assert {trial.params["n"] for trial in study.trials} == {*range(20)}


def test_one_good_trial_of_the_model_and_the_base_sampler_learns_from_all() -> None:
    found = report(tuned()).evidence
    assert found is not None
    assert set(found.misleading) == {t.number for t in tuned().trials if is_models(t)}
    found = report(tuned(good_from=2, n=10)).evidence
    assert found is not None
    assert not found.misleading


def test_the_report_says_so() -> None:
    said = "None of the model's trials is better than three quarters of the base sampler's"
    assert said in "\n".join(comparison(report(tuned())))
    assert said not in "\n".join(comparison(report(tuned(good_from=2, n=10))))


def test_another_base_sampler_sees_all() -> None:
    missing = []

    class Spy(RandomSampler):
        def sample_relative(
            self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
        ) -> dict[str, object]:
            missing.append(trial.number + 1 - len(sampled_trials(study)))
            return {}

    sampler = LLMSampler(FakeLLM(Adviser()), search_space=SPACE, base_sampler=Spy(seed=0), seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=N_TRIALS)
    found = report(study).evidence
    assert found is not None
    assert found.misleading
    assert missing == [0] * len(missing) != []
