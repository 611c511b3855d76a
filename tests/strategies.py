"""Hypothesis strategies for distributions and for whatever a model may send."""

from __future__ import annotations

from typing import Any
import warnings

from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


_choices = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-2, 2),
    st.text(max_size=5),
    st.sampled_from(["None", "True", "1", "1.0", "nan", '"a"', "a", "A"]),
)


@st.composite
def floats(draw: st.DrawFn) -> FloatDistribution:
    if draw(st.booleans()):
        low = draw(st.floats(1e-12, 1e6))
        return FloatDistribution(low, low * draw(st.floats(1, 1e6)), log=True)
    low = draw(st.floats(-1e6, 1e6))
    high = low + draw(st.floats(0, 1e6))
    step = draw(st.none() | st.floats(1e-3, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna moves a bound that is off the grid, and says so
        return FloatDistribution(low, max(high, low + (step or 0)), step=step)


@st.composite
def ints(draw: st.DrawFn) -> IntDistribution:
    if draw(st.booleans()):
        low = draw(st.integers(1, 10**6))
        return IntDistribution(low, low + draw(st.integers(0, 10**9)), log=True)
    low = draw(st.integers(-(10**9), 10**9))
    step = draw(st.integers(1, 50))
    return IntDistribution(low, low + step * draw(st.integers(0, 1000)), step=step)


def categoricals() -> st.SearchStrategy[CategoricalDistribution]:
    return st.lists(_choices, min_size=1, max_size=8).map(CategoricalDistribution)


def distributions() -> st.SearchStrategy[BaseDistribution]:
    return st.one_of(floats(), ints(), categoricals())


def json_values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([10**400, -(10**400), 2**63, 0]),
        st.floats(),
        st.text(max_size=30),
        st.sampled_from(
            ["1e-4", "3E5", "1e400", "NaN", "-inf", "0x10", "1_000", "\x00", "\ud800"]
        ),
        _choices,
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    )
