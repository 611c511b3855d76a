"""Hypothesis strategies for distributions and for whatever a model may send."""

from __future__ import annotations

import math
from typing import Any
import warnings

from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


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


# --- numbers of every width and place -------------------------------------------------------


@st.composite
def float_ranges(draw: st.DrawFn) -> FloatDistribution:
    """Ranges and grids from 1e-300 to 1e300, narrow or wide, anywhere."""
    kind = draw(st.sampled_from(["linear", "log", "grid"]))
    mantissa = st.integers(1, 9999).map(lambda n: n / 1000) | st.floats(1, 10)
    if kind == "log":
        low = draw(mantissa) * 10.0 ** draw(st.integers(-290, 280))
        high = low * draw(st.floats(1.001, 10) | st.integers(1, 15).map(lambda e: 10.0**e))
        return FloatDistribution(low, high, log=True)
    if kind == "grid":
        step = draw(mantissa) * 10.0 ** draw(st.integers(-6, 6))
        low = step * draw(st.integers(-1000, 1000))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return FloatDistribution(low, low + step * draw(st.integers(1, 5000)), step=step)
    width = draw(mantissa) * 10.0 ** draw(st.integers(-290, 290))
    low = draw(st.sampled_from([-3, -1, -0.5, 0, 0.2, 1, 9, 1e3, -1e6])) * width
    return FloatDistribution(low, low + width)


@st.composite
def int_ranges(draw: st.DrawFn) -> IntDistribution:
    """Integers up to 2**53 in size, the largest that Optuna keeps."""
    width = draw(st.integers(1, 10) | st.integers(1, 52).map(lambda e: 2**e))
    if draw(st.booleans()):
        low = draw(st.integers(1, 9) | st.integers(1, 2**52))
        return IntDistribution(low, min(low + width, 2**53), log=True)
    step = draw(st.integers(1, width))
    width -= width % step
    low = draw(st.integers(-9, 9) | st.integers(-(2**53), 2**53 - width))
    return IntDistribution(low, low + width, step=step)


def ranges() -> st.SearchStrategy[FloatDistribution | IntDistribution]:
    return st.one_of(float_ranges(), int_ranges())


@st.composite
def legal_values(draw: st.DrawFn, distribution: FloatDistribution | IntDistribution) -> Any:
    """A value of the distribution: anywhere in its own scale, near a bound, or at one."""
    low, high = distribution.low, distribution.high
    share = draw(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1e-9, 1 - 1e-9]))
    if share in (0, 1):
        return high if share else low
    if distribution.step is not None:
        k = round(share * ((high - low) / distribution.step))
        return min(low + k * distribution.step, high)
    if distribution.log:
        value = math.exp((1 - share) * math.log(low) + share * math.log(high))
    else:
        value = (1 - share) * low + share * high
    return min(max(value, low), high)
