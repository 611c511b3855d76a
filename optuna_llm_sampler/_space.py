"""Search space ↔ words: labels for choices, and a model's value → a legal value or a reason.

Pure functions of Optuna's distributions. Nothing here knows a study or a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
import math
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


SearchSpace: TypeAlias = Mapping[str, BaseDistribution]

# A number longer than this is an attack or a runaway answer; int("9" * 10**6) takes seconds.
_MAX_DIGITS = 40


@dataclass(frozen=True)
class Coerced:
    """A value that the distribution contains.

    Attributes:
        value:
            What Optuna gets: a :obj:`float`, an :obj:`int` or one of the choices.
        repair:
            What had to be changed, as a short word, or ``""``.
    """

    value: Any
    repair: str = ""


@dataclass(frozen=True)
class Rejected:
    """A value that cannot be mapped onto the distribution, with the reason as a short word."""

    reason: str


def labels(distribution: CategoricalDistribution) -> tuple[str, ...]:
    """Name each choice by a text that is unique among the choices.

    Categoricals travel as labels and come back by index, because ``True == 1`` and because JSON
    has no word for most Python values. A string is its own label unless another choice, or a
    number or keyword, reads the same; then it is put in quotes.
    """
    plain = [c if isinstance(c, str) else _literal(c) for c in distribution.choices]
    out: list[str] = []
    for choice, label in zip(distribution.choices, plain, strict=True):
        if isinstance(choice, str) and plain.count(label) > 1:
            label = json.dumps(choice)
        while label in out:  # equal choices, e.g. ("a", "a"): only the first is ever meant
            label += "'"
        out.append(label)
    return tuple(out)


def _literal(choice: Any) -> str:
    return (
        repr(choice) if choice is None or isinstance(choice, (bool, int, float)) else str(choice)
    )


def to_label(value: Any, distribution: BaseDistribution) -> Any:
    """Write a parameter's value the way the model reads it: labels for choices, else a number."""
    if isinstance(distribution, CategoricalDistribution):
        try:
            return labels(distribution)[int(distribution.to_internal_repr(value))]
        except ValueError:  # the choices moved since this trial ran
            return str(value)
    return value


def coerce(value: Any, distribution: BaseDistribution) -> Coerced | Rejected:
    """Map whatever a model wrote onto a distribution.

    Optuna replaces a relative value that is out of range or off the grid by a random one without
    a word, and fails the trial for a wrong choice (``Trial._is_relative_param``), so nothing
    leaves here that ``distribution._contains`` does not accept.

    Args:
        value:
            Any JSON value.
        distribution:
            The distribution as it is now.

    Returns:
        A legal value with what was repaired, or the reason for which there is none.
    """
    if distribution.single():
        return Coerced(_single_value(distribution))
    if isinstance(distribution, CategoricalDistribution):
        return _coerce_choice(value, distribution)
    number, repair = _to_number(value)
    if number is None:
        return Rejected(repair)
    if isinstance(distribution, FloatDistribution):
        coerced = _coerce_float(number, distribution)
    elif isinstance(distribution, IntDistribution):
        coerced = _coerce_int(number, distribution)
    else:
        return Rejected("unknown_distribution")
    if not distribution._contains(distribution.to_internal_repr(coerced.value)):
        return Rejected("not_contained")
    return Coerced(coerced.value, coerced.repair or repair)


def _single_value(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return distribution.low


def _to_number(value: Any) -> tuple[int | float | None, str]:
    """Return a finite number and how it was read, or None and why not."""
    if isinstance(value, bool) or value is None:
        return None, "not_a_number"
    repair = ""
    if isinstance(value, str):
        text = value.strip().replace("_", "")
        if not text or len(text) > _MAX_DIGITS:
            return None, "not_a_number"
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                return None, "not_a_number"
        repair = "text"
    if not isinstance(value, (int, float)):
        return None, "not_a_number"
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int beyond the floats
        finite = False
    return (value, repair) if finite else (None, "not_finite")


def _coerce_float(number: int | float, distribution: FloatDistribution) -> Coerced:
    low, high, step = distribution.low, distribution.high, distribution.step
    value = min(max(float(number), low), high)
    clipped = value != float(number)
    if step is not None:
        k = round((value - low) / step)
        snapped = min(low + k * step, high)
        if abs(snapped - value) > 1e-6 * step:
            return Coerced(snapped, "clipped" if clipped else "snapped")
        value = snapped
    return Coerced(value, "clipped" if clipped else "")


def _coerce_int(number: int | float, distribution: IntDistribution) -> Coerced:
    low, high, step = distribution.low, distribution.high, distribution.step
    if number < low or number > high:
        return Coerced(low if number < low else high, "clipped")
    whole = round(number)
    value = min(low + round((whole - low) / step) * step, high)
    if whole != number:
        return Coerced(value, "rounded")
    return Coerced(value, "snapped" if value != whole else "")


def _coerce_choice(value: Any, distribution: CategoricalDistribution) -> Coerced | Rejected:
    index, repair = _find_choice(value, distribution)
    if index is None:
        return Rejected("not_a_choice")
    # Of choices that are equal to `==`, Optuna stores the first, whichever one was meant
    # (CategoricalDistribution.to_internal_repr), so the first is what the trial must get.
    stored = int(distribution.to_internal_repr(distribution.choices[index]))
    if stored != index:
        repair = "equal_choice"
    return Coerced(distribution.choices[stored], repair)


def _find_choice(value: Any, distribution: CategoricalDistribution) -> tuple[int | None, str]:
    names = labels(distribution)
    if isinstance(value, str):
        if value in names:
            return names.index(value), ""
        for i, choice in enumerate(distribution.choices):
            if isinstance(choice, str) and choice == value:
                return i, "relabelled"
        return _find_similar(value, names)
    if value is None or isinstance(value, (bool, int, float)):
        for i, choice in enumerate(distribution.choices):
            if type(choice) is type(value) and choice == value:
                return i, ""
        number, _ = _to_number(value)
        if number is not None:
            return _find_number(number, distribution)
        return _find_similar(str(value), names)
    return None, ""


def _find_number(
    number: int | float, distribution: CategoricalDistribution
) -> tuple[int | None, str]:
    for i, choice in enumerate(distribution.choices):
        read, _ = _to_number(choice)
        if read is not None and math.isclose(read, number, rel_tol=1e-9):
            return i, "relabelled"
    return None, ""


def _find_similar(value: str, names: tuple[str, ...]) -> tuple[int | None, str]:
    wanted = _fold(value)
    found = [i for i, name in enumerate(names) if _fold(name) == wanted]
    if len(found) == 1:
        return found[0], "relabelled"
    number, _ = _to_number(value)
    if number is None:
        return None, ""
    for i, name in enumerate(names):
        read, _ = _to_number(name)
        if read is not None and math.isclose(read, number, rel_tol=1e-9):
            return i, "relabelled"
    return None, ""


def _fold(text: str) -> str:
    return text.strip().strip("\"'").casefold().replace("-", "_").replace(" ", "_")


def unit(value: Any, distribution: BaseDistribution) -> float:
    """Place a legal value on [0, 1] in the distribution's own scale (choices: their index)."""
    internal = distribution.to_internal_repr(value)
    if isinstance(distribution, CategoricalDistribution):
        return float(internal)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return 0.0
    internal = min(max(internal, low), high)  # the bounds may have moved since the value was used
    if distribution.log:
        return (math.log(internal) - math.log(low)) / (math.log(high) - math.log(low))
    return (internal - low) / (high - low)


def distance(a: Mapping[str, Any], b: Mapping[str, Any], space: SearchSpace) -> float:
    """Largest difference between two configurations over their parameters, in [0, 1].

    A parameter that only one of them has, or a different choice, counts 1.
    """
    worst = 0.0
    for name, distribution in space.items():
        if (name in a) != (name in b):
            return 1.0
        if name not in a or distribution.single():
            continue
        difference = abs(unit(a[name], distribution) - unit(b[name], distribution))
        if isinstance(distribution, CategoricalDistribution):
            difference = min(difference, 1.0)
        worst = max(worst, difference)
        if worst >= 1.0:
            break
    return worst
