"""A parameter's values: as labels for the model, and coerced to a distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .labels import find_choice, labels as labels, to_number
from .optuna_internals import contains


SearchSpace: TypeAlias = Mapping[str, BaseDistribution]
# Repair of a number outside of its range.
CLIPPED = "clipped"


@dataclass(frozen=True)
class Coerced:
    """A value that a distribution contains."""

    value: Any  # a float, an int or one of the choices
    repair: str = ""  # what had to be changed, as a short word, or `""`


@dataclass(frozen=True)
class Rejected:
    """The reason, as a short word, why a value cannot be mapped to a distribution."""

    reason: str


def to_label(value: Any, distribution: BaseDistribution) -> Any:
    """Return the label of a choice, and any other value unchanged."""
    if isinstance(distribution, CategoricalDistribution):
        try:
            return labels(distribution)[int(distribution.to_internal_repr(value))]
        except ValueError:  # no longer one of the choices
            return str(value)
    return value


def coerce(value: Any, distribution: BaseDistribution) -> Coerced | Rejected:
    """Map any JSON value to a distribution.

    Optuna silently replaces a relative value out of range or off the grid by a random one, and
    fails the trial for a wrong choice (``Trial._is_relative_param``). So a value is returned only
    if Optuna accepts it.

    Returns:
        A legal value and its repair, or the reason why there is none.
    """
    if distribution.single():
        return Coerced(_single_value(distribution))
    if isinstance(distribution, CategoricalDistribution):
        return _coerce_choice(value, distribution)
    number, repair = to_number(value)
    if number is None:
        return Rejected(repair)
    try:
        if isinstance(distribution, FloatDistribution):
            coerced = _coerce_float(number, distribution)
        elif isinstance(distribution, IntDistribution):
            coerced = _coerce_int(number, distribution)
        else:
            return Rejected("unknown_distribution")
        # Optuna stores floats, so integers beyond 2**53 change.
        stored = distribution.to_internal_repr(coerced.value)
        if not contains(distribution, stored):
            return Rejected("not_contained")
        return Coerced(distribution.to_external_repr(stored), coerced.repair or repair)
    except (OverflowError, ValueError):  # a range beyond the floats
        return Rejected("not_contained")


def is_legal(value: Any, distribution: BaseDistribution) -> bool:
    """Tell whether a distribution contains a value, up to rounding errors on its grid."""
    try:
        internal = distribution.to_internal_repr(value)
        if contains(distribution, internal):
            return True
    except (OverflowError, ValueError):
        return False
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return False
    low, high, step = distribution.low, distribution.high, distribution.step
    if not low <= internal <= high:
        return False
    # Far from zero, Optuna's own values are off the grid by more than it allows.
    nearest = low + round((internal - low) / step) * step
    return abs(internal - nearest) <= 2 * math.ulp(max(abs(low), abs(high)))


def _single_value(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return distribution.low


def _coerce_float(number: int | float, distribution: FloatDistribution) -> Coerced:
    low, high, step = distribution.low, distribution.high, distribution.step
    value = min(max(float(number), low), high)
    clipped = value != float(number)
    if step is not None:
        k = round((value - low) / step)
        snapped = min(low + k * step, high)
        if abs(snapped - value) > 1e-6 * step:
            return Coerced(snapped, CLIPPED if clipped else "snapped")
        value = snapped
    return Coerced(value, CLIPPED if clipped else "")


def _coerce_int(number: int | float, distribution: IntDistribution) -> Coerced:
    low, high, step = distribution.low, distribution.high, distribution.step
    if number < low or number > high:
        return Coerced(low if number < low else high, CLIPPED)
    whole = round(number)
    value = min(low + round((whole - low) / step) * step, high)
    if whole != number:
        return Coerced(value, "rounded")
    return Coerced(value, "snapped" if value != whole else "")


def _coerce_choice(value: Any, distribution: CategoricalDistribution) -> Coerced | Rejected:
    index, repair = find_choice(value, distribution)
    if index is None:
        return Rejected("not_a_choice")
    # Of equal choices, Optuna stores the first (CategoricalDistribution.to_internal_repr), so the
    # trial must get the first.
    stored = int(distribution.to_internal_repr(distribution.choices[index]))
    if stored != index:
        repair = "equal_choice"
    return Coerced(distribution.choices[stored], repair)


def legal_or(otherwise: Any, value: Any, distribution: BaseDistribution) -> Any:
    """Coerce a value to a distribution; return ``otherwise`` if it is rejected."""
    coerced = coerce(value, distribution)
    return coerced.value if isinstance(coerced, Coerced) else otherwise
