"""The search space read from objectives: exactly, or openly incomplete, and never wrong."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import inspect
from typing import Any
import warnings

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_llm_sampler import search_space_of
from tests.support.objectives import CASES


def name_of(case: tuple[Any, ...]) -> str:
    return str(getattr(case[0], "__qualname__", type(case[0]).__name__))


each_objective = pytest.mark.parametrize("case", CASES, ids=name_of)


def test_there_are_many_objectives() -> None:
    assert len(CASES) >= 60


@each_objective
def test_the_space_is_what_the_source_says(case: Any) -> None:
    objective, space, conditions, left_out = case
    read = search_space_of(objective)
    assert read.space == space
    assert read.conditions == conditions
    missing = [piece for piece in left_out if not any(piece in text for text in read.left_out)]
    assert not missing, read.left_out
    assert bool(read.left_out) == bool(left_out), read.left_out


def is_used(name: str, trial: FrozenTrial, conditions: Mapping[str, Any]) -> bool:
    return all(
        parent in trial.params and trial.params[parent] in values
        for parent, values in conditions.get(name, {}).items()
    )


@each_objective
def test_no_trial_contradicts_what_was_read(case: Any) -> None:
    objective = case[0]
    function = getattr(objective, "func", objective)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        pytest.skip("Optuna cannot run it")
    read = search_space_of(objective)
    n_values = 2 if "two_objectives" in name_of(case) else 1
    study = optuna.create_study(directions=["minimize"] * n_values, sampler=RandomSampler(seed=0))
    with warnings.catch_warnings():  # names and kinds of choices that Optuna warns about
        warnings.simplefilter("ignore")
        study.optimize(objective, n_trials=30, catch=(Exception,))
    for trial in study.trials:
        for name, distribution in trial.distributions.items():
            assert name in read.space or read.left_out
            assert read.space.get(name, distribution) == distribution
        if trial.state == TrialState.COMPLETE:
            used = {name for name in read.space if is_used(name, trial, read.conditions)}
            assert used == trial.params.keys() & read.space.keys()
