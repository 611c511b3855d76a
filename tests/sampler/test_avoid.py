"""Proposals near failures are moved; without a model, nothing is."""

from __future__ import annotations

from collections.abc import Callable
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
from optuna.trial import Trial, TrialState
import pytest

from optuna_llm_sampler import DefaultBaseSampler, LLMSampler
from optuna_llm_sampler._sampler.failure_filter import away_from_failures, Outcomes
from optuna_llm_sampler._study.optuna_internals import tpe_sampler
from optuna_llm_sampler.testing import FakeLLM


SPACE = {
    "x": FloatDistribution(0.0, 1.0),
    "n": IntDistribution(1, 100, log=True),
    "c": CategoricalDistribution(("a", "b")),
}
FAILED = [{"x": 0.9, "n": 50, "c": "a"}, {"x": 0.8, "n": 90, "c": "a"}]
WORKED = [{"x": 0.1, "n": 2, "c": "a"}]
OUTCOMES = Outcomes(SPACE, FAILED, WORKED)
BAD = {"x": 0.85, "n": 70, "c": "a"}
GOOD = {"x": 0.2, "n": 3, "c": "a"}


def test_the_nearest_neighbour_decides() -> None:
    assert OUTCOMES.margin(BAD) < 0 < OUTCOMES.margin(GOOD)


def test_what_lies_well_stays() -> None:
    assert away_from_failures(GOOD, OUTCOMES) == GOOD


def test_what_lies_near_failures_is_moved_towards_a_success() -> None:
    moved = away_from_failures(BAD, OUTCOMES)
    assert OUTCOMES.margin(moved) > 0
    assert WORKED[0]["x"] < moved["x"] < BAD["x"]
    assert WORKED[0]["n"] < moved["n"] < BAD["n"]


def test_nothing_but_failures_moves_nothing() -> None:
    assert away_from_failures(BAD, Outcomes(SPACE, FAILED, [])) == BAD


def test_a_success_is_not_tried_again() -> None:
    space = {"k": CategoricalDistribution(("a", "b")), "l": CategoricalDistribution(("a", "b"))}
    outcomes = Outcomes(space, [{"k": "a", "l": "a"}], [{"k": "b", "l": "b"}])
    assert away_from_failures({"k": "a", "l": "a"}, outcomes) == {"k": "a", "l": "a"}


def test_in_a_space_with_branches_only_those_with_the_same_parameters_are_goals() -> None:
    space = {**SPACE, "y": FloatDistribution(0.0, 1.0)}
    other = {"c": "b", "y": 0.5}
    assert away_from_failures(BAD, Outcomes(space, FAILED, [other])) == BAD
    moved = away_from_failures(BAD, Outcomes(space, FAILED, [other, *WORKED]))
    assert moved.keys() == BAD.keys()
    assert moved["x"] < BAD["x"]


def test_the_base_sampler_is_asked_once_per_trial() -> None:
    asked: list[int] = []

    class Counting(TPESampler):
        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            asked.append(trial.number)
            return super().sample_relative(study, trial, search_space)

    sampler = _ours(0, base_sampler=Counting(seed=0))
    assert _n_failed(_run(sampler, 25)) > 0
    assert len(asked) == len(set(asked))


def _objective(trial: Trial) -> float:
    x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
    if x + y > 1.0:
        raise MemoryError
    return (x - 0.3) ** 2 + (y - 0.3) ** 2


def _run(sampler: BaseSampler, n_trials: int = 40) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(_objective, n_trials=n_trials, catch=(MemoryError,))
    return study


def _n_failed(study: optuna.Study) -> int:
    return sum(trial.state == TrialState.FAIL for trial in study.trials)


def _ours(seed: int, **arguments: Any) -> LLMSampler:
    """The model is wrong twice in five times."""
    points = [(0.9, 0.9), (0.2, 0.1), (0.7, 0.8), (0.1, 0.5), (0.5, 0.2)]
    answer = json.dumps({"configs": [{"x": x, "y": y} for x, y in points]})
    space = dict.fromkeys("xy", FloatDistribution(0.0, 1.0))
    arguments = {"base_sampler": tpe_sampler(seed), **arguments}
    return LLMSampler(FakeLLM(lambda request: answer), search_space=space, seed=seed, **arguments)


def test_half_as_many_failures_as_tpe() -> None:
    ours = sum(_n_failed(_run(_ours(seed))) for seed in range(4))
    tpe = sum(_n_failed(_run(tpe_sampler(seed))) for seed in range(4))
    assert ours <= tpe / 2


@pytest.mark.parametrize(
    ("works", "expected"),
    [
        (lambda number: False, ["llm"] * 2 + ["base"]),
        (lambda number: number == 1, ["llm"] * 3),
        (lambda number: number >= 2, ["llm"] * 2 + ["base"]),
    ],
)
def test_first_proposals_that_only_fail_give_way(
    works: Callable[[int], bool], expected: list[str]
) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        if not works(trial.number):
            raise MemoryError
        return x

    configs = [{"x": i / 10} for i in range(8)]
    sampler = LLMSampler(
        FakeLLM(lambda request: json.dumps({"configs": configs})),
        search_space={"x": FloatDistribution(0.0, 1.0)},
        base_sampler=tpe_sampler(0),
        n_configs=4,
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=3, catch=(MemoryError,))
    assert [trial.user_attrs["llm_source"] for trial in study.trials] == expected


@pytest.mark.parametrize("share", [0, None])
def test_without_the_models_part_failures_change_nothing(share: float | None) -> None:
    sampler = _ours(3, llm_share=share)
    if share is None:
        sampler = LLMSampler(
            FakeLLM(lambda request: ""),
            search_space={"x": FloatDistribution(0.0, 1.0)},
            base_sampler=tpe_sampler(3),
            seed=3,
        )
    alone, ours = _run(tpe_sampler(3), 25), _run(sampler, 25)
    assert _n_failed(alone) > 0
    assert [t.params for t in ours.trials] == [t.params for t in alone.trials]


def test_the_default_base_sampler_goes_over_to_tpe_where_much_fails() -> None:
    pytest.importorskip("torch")
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    space: dict[str, BaseDistribution] = dict.fromkeys("xy", FloatDistribution(0.0, 1.0))
    for i in range(12):
        params = {"x": i / 20, "y": i / 30}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=i))
    assert "gp:relative_params:" in str(_attrs_of_next(study))
    for _ in range(2):
        failed = optuna.trial.create_trial(
            params={"x": 0.9, "y": 0.9}, distributions=space, state=TrialState.FAIL
        )
        study.add_trial(failed)
    assert "tpe:relative_params:" in str(_attrs_of_next(study))


def _attrs_of_next(study: optuna.Study) -> dict[str, Any]:
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
    return study.trials[-1].system_attrs
