"""A range of numbers as a model gave it → a distribution within what the words state."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
import math
import re
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution

from .._study.distance import LOG_FROM
from .._study.labels import to_number
from .._study.numbers import exact
from ..errors import ContradictionError
from .domains import ends_of
from .fact import Fact
from .subjects import tokens


# Where the model does not say, a positive range is logarithmic if its bounds differ by `LOG_FROM`,
# or by this smaller factor if the name says that factors matter.
_LOG_FROM_BY_NAME = 10.0
_FACTORS_MATTER = ("rate", "lr", "decay", "alpha", "lambda", "regularization", "epsilon", "tol")
# Optuna keeps values as floats.
_MAX_INT = 2**53
_MAX_FLOAT = 1e100
# How far a range goes beyond the only stated bound, if the model's lies on its other side.
_FACTOR = 10.0


class Refused(Exception):
    """A parameter cannot be used; the message says why, in a few words."""


def number_range(
    name: str, item: Mapping[str, Any], *, is_int: bool, fact: Fact | None
) -> FloatDistribution | IntDistribution:
    """Return the distribution of a number.

    A stated bound is the bound, whatever the model says; only a bound that the words leave open is
    the model's.

    Raises:
        ContradictionError: No integer lies within the stated bounds.
        Refused: The range is empty, infinite or missing.
    """
    low, high = _limited(item, fact or Fact(""), ends_of(tokens(name)))
    limit = _MAX_INT if is_int else _MAX_FLOAT
    if max(abs(low), abs(high)) > limit:
        raise Refused(f"a range beyond {exact(float(limit))}")
    is_fixed = fact is not None and low == high and fact.allows(low)
    log = item.get("log")
    if not isinstance(log, bool):
        words = re.split(r"[\W_]+", name.lower())
        factors_matter = not is_int and any(word in _FACTORS_MATTER for word in words)
        log = high >= low * (_LOG_FROM_BY_NAME if factors_matter else LOG_FROM)
    step = to_number(item.get("step"))[0]
    if is_int:
        return _integers(low, high, log, step, fact)
    if not low < high and not is_fixed:
        raise Refused("an empty range")
    log = log and 0 < low < high
    if log or step is None or not 0 < step < high - low:
        return FloatDistribution(low, high, log=log)
    grid_high = _grid_high(low, high, step)
    # The stated bound goes before the grid.
    if grid_high is None or (fact is not None and grid_high != high):
        return FloatDistribution(low, high)
    return FloatDistribution(low, grid_high, step=float(step))


def _integers(
    low: float, high: float, log: bool, step: float | None, fact: Fact | None
) -> IntDistribution:
    first, last = math.ceil(low), math.floor(high)
    if fact is not None:
        first += first <= fact.above
        last -= last >= fact.below
    if first > last and fact is not None:
        raise ContradictionError(f"No integer satisfies {fact.words!r}.")
    if first >= last and fact is None:
        raise Refused("an empty range")
    if log and 0 < first < last:
        return IntDistribution(first, last, log=True)
    width = 1 if step is None or step != int(step) or step < 1 else int(step)
    if width > last - first or (fact is not None and (last - first) % width):
        width = 1
    return IntDistribution(first, last - (last - first) % width, step=width)


def _limited(
    item: Mapping[str, Any], fact: Fact, ends: tuple[float, float]
) -> tuple[float, float]:
    """Return the bounds: stated ones, and the model's where the words leave them open.

    Open ends stay within what the parameter can be at all.
    """
    low, high = _end(item, "low"), _end(item, "high")
    if low is not None and high is not None and low > high:
        low = high = None
    stated_low, stated_high = max(fact.low, fact.above), min(fact.high, fact.below)
    bottom = _inside(low, fact, stated_low, up=True)
    top = _inside(high, fact, stated_high, up=False)
    has_low, has_high = stated_low > -math.inf, stated_high < math.inf
    if bottom is not None and not has_low:
        bottom = max(bottom, ends[0])
    if top is not None and not has_high:
        top = min(top, ends[1])
    # Where the model has no end on the right side of the only stated bound.
    if top is not None and not has_low and has_high and (bottom is None or bottom >= top):
        bottom = max(_beyond(top, up=False), ends[0])
    if bottom is not None and not has_high and has_low and (top is None or bottom >= top):
        top = min(_beyond(bottom, up=True), ends[1])
    if bottom is None or top is None:
        raise Refused("no finite range")
    return bottom, top


def _inside(end: float | None, fact: Fact, stated: float, *, up: bool) -> float | None:
    """Return the stated bound, if there is one, else the model's."""
    if math.isinf(stated):
        return end
    if stated not in (fact.above, fact.below):
        return stated
    # An excluded bound: the model's own end, if it lies inside.
    if end is not None and fact.allows(end):
        return end
    return math.nextafter(stated, math.inf if up else -math.inf)


def _beyond(bound: float, *, up: bool) -> float:
    if bound == 0:
        return 1.0 if up else -1.0
    return bound * _FACTOR if up == (bound > 0) else bound / _FACTOR


def _end(item: Mapping[str, Any], key: str) -> float | None:
    return to_number(item.get(key))[0]


def _grid_high(low: float, high: float, step: float) -> float | None:
    """Return the last point of a grid, in decimals as Optuna does it.

    :obj:`None` if the grid is so fine that floats cannot tell its points apart.
    """
    begin, end, width = (Decimal(str(number)) for number in (low, high, step))
    if end - begin > _MAX_INT * width:
        return None
    last = float(begin + (end - begin) // width * width)
    return last if (Decimal(str(last)) - begin) % width == 0 else None
