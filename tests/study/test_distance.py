"""Points: which configurations are near another one, and how far away they are."""

from __future__ import annotations

from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler._study.distance import natural_middle, Points


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}
HERE = {"lr": 1e-4, "kind": "a"}


@pytest.mark.parametrize(
    ("params", "gap", "distance"),
    [
        ({"lr": 1e-4, "kind": "a"}, 0.0, 0.0),
        ({"lr": 1e-2, "kind": "a"}, 0.5, 0.5),
        ({"lr": 1e-4, "kind": "b"}, 1.0, 0.5),
        ({"lr": 1e-2, "kind": "b"}, 1.0, 1.0),
        ({"lr": 1e-4}, 1.0, 0.5),
        # The bounds have moved, or the choice is gone, since this one ran.
        ({"lr": 1e-9, "kind": "a"}, 0.0, 0.0),
        ({"lr": 1e-4, "kind": "gone"}, 1.0, 0.5),
    ],
)
def test_nearness_and_distance_in_the_scale_of_the_distribution(
    params: dict[str, Any], gap: float, distance: float
) -> None:
    points = Points([params])
    for limit in (0.1, 0.6, 0.9):
        assert points.has_near(HERE, SPACE, limit) == (gap < limit)
    assert points.distances(HERE, SPACE) == pytest.approx([distance])


def test_a_parameter_that_only_one_has_makes_a_difference_both_ways() -> None:
    points = Points([HERE])
    assert not points.has_near({"lr": 1e-4}, SPACE)
    assert points.distances({"lr": 1e-4}, SPACE) == pytest.approx([0.5])
    # A trial that has these values already is a duplicate, whatever else it had.
    assert points.has_duplicate({"lr": 1e-4}, SPACE)
    assert not Points([{"lr": 1e-4}]).has_duplicate(HERE, SPACE)


def test_points_follow_bounds_that_move() -> None:
    points = Points([{"x": 1.0}])
    points.add({"x": 2.0})
    for high, near in ((4.0, False), (400.0, True), (4.0, False)):
        space = {"x": FloatDistribution(0, high)}
        assert points.has_near({"x": 1.5}, space) == near
        assert points.distances({"x": 1.0}, space) == pytest.approx([0, 1 / high])
    points.add({"x": 1.5})
    assert points.has_near({"x": 1.5}, {"x": FloatDistribution(0, 4.0)})


def test_nothing_is_near_without_points() -> None:
    assert not Points().has_near(HERE, SPACE)
    assert Points().distances(HERE, SPACE).tolist() == []


def test_a_small_part_of_a_range_over_decades_is_no_repetition() -> None:
    space = {"decay": FloatDistribution(1e-5, 0.1)}
    points = Points([{"decay": 1e-4}])
    assert not points.has_duplicate({"decay": 1e-5}, space)
    assert points.has_duplicate({"decay": 1.001e-4}, space)


@pytest.mark.parametrize(
    ("distribution", "middle"),
    [
        (FloatDistribution(-1.0, 2.0), 0.5),
        (FloatDistribution(0.0, 1000.0), 500.0),
        (FloatDistribution(1e-5, 0.1, log=True), 1e-3),
        (FloatDistribution(1e-5, 0.1), 1e-3),  # as people write a weight decay
        (FloatDistribution(0.1, 0.99), 0.545),
        (FloatDistribution(0.0, 0.8, step=0.4), 0.4),
        (IntDistribution(1, 9), 5),
        (IntDistribution(10, 1000), 100),
        (IntDistribution(16, 256, step=16), 144),
        (IntDistribution(2, 128, log=True), 16),
        (CategoricalDistribution(["sgd", "adam"]), "sgd"),
        (FloatDistribution(5e-324, 1e308), 2.2e-8),
        (FloatDistribution(-1e308, 1e308), 0.0),
    ],
)
def test_the_natural_middle_is_geometric_where_a_range_spans_decades(
    distribution: BaseDistribution, middle: Any
) -> None:
    found = natural_middle(distribution)
    assert found == (middle if isinstance(middle, str) else pytest.approx(middle, rel=0.02))
    assert distribution._contains(distribution.to_internal_repr(found))
