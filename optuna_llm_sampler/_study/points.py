"""What has been tried, so that 10,000 configurations are compared in a millisecond."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from .space import NEAR
from .space import normalize
from .space import SearchSpace


class Points:
    """Configurations as columns of numbers, so that 10,000 are compared in a millisecond."""

    def __init__(self) -> None:
        self._n = 0
        self._columns: dict[str, array[float]] = {}

    def add(self, internal: Mapping[str, float], distributions: SearchSpace) -> None:
        for name, value in internal.items():
            column = self._columns.setdefault(_column(name, distributions[name]), array("d"))
            column.extend([math.nan] * (self._n - len(column)))
            column.append(value)
        self._n += 1

    def has_near(self, params: Mapping[str, Any], space: SearchSpace) -> bool:
        near = np.ones(self._n, dtype=bool)
        for name, value in params.items():
            column = self._columns.get(_column(name, space[name]))
            if column is None or not near.any():
                return False
            known = np.full(self._n, math.nan)
            known[: len(column)] = column
            near &= np.abs(_units(known, space[name]) - normalize(value, space[name])) < NEAR
        return bool(near.any())


def _column(name: str, distribution: BaseDistribution) -> str:
    """Name a column; indices of choices mean something only among the same choices."""
    if isinstance(distribution, CategoricalDistribution):
        return f"{name} in {distribution.choices!r}"
    return name


def _units(internal: NDArray[np.float64], distribution: BaseDistribution) -> NDArray[np.float64]:
    """The same as :func:`~optuna_llm_sampler._study.space.unit`, for a column."""
    if isinstance(distribution, CategoricalDistribution):
        return internal
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return np.where(np.isnan(internal), internal, 0.0)
    clipped = np.clip(internal, low, high)
    if distribution.log:
        clipped, low, high = np.log(clipped), math.log(low), math.log(high)
    if math.isinf(high - low):
        clipped, low, high = clipped / 2, low / 2, high / 2
    units: NDArray[np.float64] = (clipped - low) / (high - low)
    return units
