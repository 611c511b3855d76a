"""Normalized values and distances, each parameter in its natural scale.

A positive range over two decades or more is meant as a logarithm, whether it says so or not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .space import legal_or, SearchSpace


# Two configurations closer than this in every parameter are the same idea.
NEAR = 0.01
# Closer than this to a trial, a configuration repeats it. Ranges are often far wider than what is
# worth trying, so the last steps of a good model may be a small part of them.
SAME = 0.002
# From this ratio of bounds on, people mean orders of magnitude, whether they write log or not.
LOG_FROM = 100.0


def normalize(value: Any, distribution: BaseDistribution) -> float:
    """Map a legal value to [0, 1] in the natural scale; a choice to its index.

    Raises:
        ValueError: The value is of another kind or no longer a choice.
    """
    internal = distribution.to_internal_repr(value)
    if isinstance(distribution, CategoricalDistribution):
        return float(internal)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return 0.0
    internal = min(max(internal, low), high)  # the bounds may have moved
    if is_logarithmic(distribution):
        width = math.log(high) - math.log(low)  # 0 for bounds that are neighbouring floats
        return (math.log(internal) - math.log(low)) / width if width > 0 else 0.0
    if math.isinf(high - low):
        internal, low, high = internal / 2, low / 2, high / 2
    return (internal - low) / (high - low)


def denormalize(position: float, distribution: FloatDistribution | IntDistribution) -> float:
    """Map a position in [0, 1] in the natural scale to a number, which may be off the grid."""
    low, high = float(distribution.low), float(distribution.high)
    position = min(max(position, 0.0), 1.0)
    if is_logarithmic(distribution):
        return min(max(math.pow(low, 1 - position) * math.pow(high, position), low), high)
    return min(max(low * (1 - position) + high * position, low), high)


def is_logarithmic(distribution: FloatDistribution | IntDistribution) -> bool:
    """Tell whether the natural scale of a range is a logarithm."""
    if distribution.log:
        return True
    low, high = float(distribution.low), float(distribution.high)
    return low > 0 and high >= LOG_FROM * low


def natural_middle(distribution: BaseDistribution) -> Any:
    """Return the middle of a range as a legal value, in its natural scale, or the first choice."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return legal_or(distribution.low, denormalize(0.5, distribution), distribution)


def interpolate(a: Any, b: Any, share: float, distribution: BaseDistribution) -> Any:
    """Return the legal value at a share of the way from ``a`` to ``b``, in the natural scale."""
    if isinstance(distribution, CategoricalDistribution):
        return a if share < 0.5 else b
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if is_logarithmic(distribution):
        value = math.exp((1 - share) * math.log(a) + share * math.log(b))
    else:
        value = (1 - share) * a + share * b
    return legal_or(a, value, distribution)


class Points:
    """Configurations with which others are compared: 10,000 of them in a millisecond.

    They are in Optuna's own values. Each parameter's values are normalized once, and anew when its
    distribution changes. Not thread-safe.
    """

    def __init__(self, configs: Iterable[Mapping[str, Any]] = ()) -> None:
        self._configs = list(configs)
        self._columns: dict[str, tuple[BaseDistribution, array[float]]] = {}

    def add(self, params: Mapping[str, Any]) -> None:
        """Add a configuration, which must not change any more."""
        self._configs.append(params)

    def has_near(self, params: Mapping[str, Any], space: SearchSpace, limit: float = NEAR) -> bool:
        """Tell whether a configuration differs by less than the limit in every parameter.

        A parameter that only one of both has makes them differ, and so does another choice. The
        limit is a part of a parameter's range, in (0, 1].
        """
        near = np.ones(len(self._configs), dtype=bool)
        for name, distribution in space.items():
            column = self._column(name, distribution)
            if name in params:
                near &= np.abs(column - normalize(params[name], distribution)) < limit
            else:
                near &= np.isnan(column)
            if not near.any():
                return False
        return bool(near.any())

    def has_duplicate(self, params: Mapping[str, Any], space: SearchSpace) -> bool:
        """Tell whether a configuration had practically these values, whatever else it had."""
        own = {name: space[name] for name in params if name in space}
        return self.has_near(params, own, SAME)

    def distances(self, params: Mapping[str, Any], space: SearchSpace) -> NDArray[np.float64]:
        """Return the city-block distance of each configuration.

        Another choice, or a parameter that only one of both has, counts a half.
        """
        total = np.zeros(len(self._configs))
        for name, distribution in space.items():
            column = self._column(name, distribution)
            if name not in params:
                total += 0.5 * ~np.isnan(column)
                continue
            gaps = np.abs(column - normalize(params[name], distribution))
            if isinstance(distribution, CategoricalDistribution):
                gaps[gaps > 0] = 0.5
            total += np.where(np.isfinite(gaps), gaps, 0.5)
        return total

    def _column(self, name: str, distribution: BaseDistribution) -> NDArray[np.float64]:
        """Return a parameter's normalized values: NaN where it is missing, infinity if illegal."""
        known, column = self._columns.get(name, (distribution, array("d")))
        if known != distribution:
            column = array("d")
        for params in self._configs[len(column) :]:
            column.append(_normalized(params[name], distribution) if name in params else math.nan)
        self._columns[name] = distribution, column
        return np.array(column)


def _normalized(value: Any, distribution: BaseDistribution) -> float:
    try:
        return normalize(value, distribution)
    except ValueError:  # of another kind, or a choice that is gone
        return math.inf
