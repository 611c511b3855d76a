from __future__ import annotations

import math
from typing import Any

from hypothesis import given, strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler._study.distance import denormalize, normalize
from optuna_llm_sampler._study.space import coerce, Coerced, labels, Rejected, to_label

from ..support.pipeline import assert_optuna_keeps
from ..support.strategies import categoricals, distributions, floats, ints, json_values


@given(distributions(), json_values())
def test_any_value_is_legal_or_named(distribution: BaseDistribution, value: Any) -> None:
    result = coerce(value, distribution)
    if isinstance(result, Rejected):
        assert result.reason.isidentifier()
    else:
        assert_optuna_keeps(result.value, distribution)


@given(categoricals())
def test_labels_are_unique_and_lead_back(distribution: CategoricalDistribution) -> None:
    names = labels(distribution)
    assert len(set(names)) == len(names)
    for choice, name in zip(distribution.choices, names, strict=True):
        result = coerce(name, distribution)
        assert isinstance(result, Coerced)
        assert result.value == choice or (result.value != result.value and choice != choice)


@pytest.mark.parametrize(
    ("value", "distribution", "expected"),
    [
        (0.5, FloatDistribution(0, 1), Coerced(0.5)),
        (3, FloatDistribution(0, 1), Coerced(1.0, "clipped")),
        ("3e-5", FloatDistribution(1e-6, 1e-1, log=True), Coerced(3e-5, "text")),
        (0.30000001, FloatDistribution(0, 1, step=0.1), Coerced(0.30000000000000004)),
        (0.34, FloatDistribution(0, 1, step=0.1), Coerced(0.30000000000000004, "snapped")),
        (math.nan, FloatDistribution(0, 1), Rejected("not_finite")),
        (math.inf, FloatDistribution(0, 1), Rejected("not_finite")),
        (10**400, FloatDistribution(0, 1), Rejected("not_finite")),
        (True, FloatDistribution(0, 1), Rejected("not_a_number")),
        ([1], IntDistribution(0, 9), Rejected("not_a_number")),
        (3.0, IntDistribution(0, 9), Coerced(3)),
        (3.4, IntDistribution(0, 9), Coerced(3, "rounded")),
        (5, IntDistribution(0, 9, step=3), Coerced(6, "snapped")),
        (100, IntDistribution(1, 64, log=True), Coerced(64, "clipped")),
        ("anything", CategoricalDistribution(["only"]), Coerced("only")),
        ("ADAM", CategoricalDistribution(["adam", "sgd"]), Coerced("adam", "relabelled")),
        ("0.1", CategoricalDistribution([0.1, 0.2]), Coerced(0.1)),
        (1, CategoricalDistribution(["1", "2"]), Coerced("1", "relabelled")),
        (None, CategoricalDistribution([None, "l2"]), Coerced(None)),
        ("None", CategoricalDistribution([None, "l2"]), Coerced(None)),
        ("rmsprop", CategoricalDistribution(["adam", "sgd"]), Rejected("not_a_choice")),
        # Optuna stores the first of equal choices, so a trial that asked for 1 gets True.
        (1, CategoricalDistribution([True, 1]), Coerced(True, "equal_choice")),
        ("1", CategoricalDistribution([1, "1", 2.5]), Coerced(1)),
        ('"1"', CategoricalDistribution([1, "1", 2.5]), Coerced("1")),
    ],
)
def test_examples(
    value: Any, distribution: BaseDistribution, expected: Coerced | Rejected
) -> None:
    result = coerce(value, distribution)
    assert result == expected
    if isinstance(result, Coerced):
        assert_optuna_keeps(result.value, distribution)


def test_a_trial_whose_choice_is_gone_still_has_a_label() -> None:
    assert to_label("old", CategoricalDistribution(["new", "newer"])) == "old"


def test_ranges_beyond_the_floats() -> None:
    wide = FloatDistribution(-1e308, 1e308)
    assert normalize(0.0, wide) == 0.5
    for distribution, value, legal in (
        (FloatDistribution(-1e308, 1e308, step=1e300), 1e308, False),
        (IntDistribution(1, 2**62), 2**61 + 2, True),
        (IntDistribution(0, 2**60 - 1), 10**30, False),
        (IntDistribution(0, 10**400), 5, True),
        (IntDistribution(1, 10**400, log=True), 10**39, True),
    ):
        result = coerce(value, distribution)
        assert isinstance(result, Coerced) == legal, result
        if isinstance(result, Coerced):
            assert_optuna_keeps(result.value, distribution)


def test_labels_of_many_equal_choices() -> None:
    lists: list[list[Any]] = [["a"] * 2000, ["a", "a'2", "a", "a'2", '"a"', "a"], [1, "1"] * 500]
    for choices in lists:
        names = labels(CategoricalDistribution(choices))
        assert len(set(names)) == len(choices)
        assert max(map(len, names)) < 20


@given(st.one_of(floats(), ints()), st.floats(0, 1))
def test_denormalize_is_the_inverse_of_normalize(
    distribution: FloatDistribution | IntDistribution, place: float
) -> None:
    if distribution.single() or distribution.high - distribution.low < 1e-6 * abs(
        distribution.high
    ):
        return
    assert normalize(denormalize(place, distribution), distribution) == pytest.approx(
        place, abs=1e-6
    )
