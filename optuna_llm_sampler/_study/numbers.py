"""Numbers with few digits, but enough to tell apart what differs.

The digits follow a parameter's range and the spread of results: in [0.9, 0.9999], 0.9996 is not
1.0, and results from 123456 to 123461 are not all 1.235e+05.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import math

from optuna.distributions import FloatDistribution, IntDistribution

from .labels import is_finite
from .space import is_legal


# Values may read the same if they differ by less than the range, in its own scale, over this.
_PARTS = 1_000
# Tolerance as a part of a step. Optuna's is 1e-8 (FloatDistribution._contains).
_OFF_STEP = 1e-9
_MIN_DIGITS, _MAX_DIGITS = 3, 17
# Differences beyond these digits are rounding errors.
_MAX_RESULT_DIGITS = 12
# The fewest results that count as the better half.
_MIN_HALF = 3


def exact(number: float) -> str:
    """Write a number so that it reads back unchanged."""
    if isinstance(number, int):
        return str(number)
    text = f"{number:g}"
    return text if float(text) == number else repr(float(number))


def rounded(value: int | float, distribution: FloatDistribution | IntDistribution) -> int | float:
    """Round a parameter's value to the digits that matter in its range.

    Values that differ by more than a thousandth of the range, or at all on a grid, stay different.
    Legal values stay legal, others illegal. Bounds and integers are not rounded.
    """
    if isinstance(distribution, IntDistribution) or not is_finite(value):
        return int(value) if is_finite(value) and value == int(value) else value
    value = float(value)
    if value in (distribution.low, distribution.high):
        return value
    legal, off = is_legal(value, distribution), _allowed(value, distribution)

    def is_good(other: float) -> bool:
        return abs(other - value) <= off and is_legal(other, distribution) == legal

    return float(_shortest(value, _MIN_DIGITS, _MAX_DIGITS, is_good))


def param_text(value: int | float, distribution: FloatDistribution | IntDistribution) -> str:
    """Write a parameter's value with the digits that matter in its range."""
    return exact(rounded(value, distribution))


def _allowed(value: float, distribution: FloatDistribution) -> float:
    """Return the largest rounding error allowed: half of the difference that matters."""
    low, high = distribution.low, distribution.high
    if distribution.step is not None:
        return max(_OFF_STEP * distribution.step, 2 * math.ulp(max(abs(low), abs(high))))
    if distribution.log:
        return abs(value) * -math.expm1((math.log(low) - math.log(high)) / (2 * _PARTS))
    return high / (2 * _PARTS) - low / (2 * _PARTS)


def _shortest(number: float, least: int, most: int, is_good: Callable[[float], bool]) -> str:
    for digits in range(least, most):
        text = f"{number:.{digits}g}"
        found = float(text)
        if is_good(found):
            # 123460 is easier to compare with 123457 than 1.2346e+05 is.
            plain = f"{found:.0f}" if "e+" in text else text
            return plain if digits > 2 and len(plain) <= len(text) else text
    return f"{number:.{most}g}"


@dataclass(frozen=True)
class Spread:
    """The interval in which results must be told apart; by default everything."""

    low: float = -math.inf
    high: float = math.inf

    def at(self, value: float) -> float:
        """Return the interval's width, or a result's distance from it if that is more."""
        return max(self.high - self.low, self.low - value, value - self.high)


def spread_of(results: Iterable[float], *, minimize: bool | None = None) -> Spread:
    """Return the interval of the middle half or of the better half, whichever is narrower.

    Args:
        results:
            Results that are shown together.
        minimize:
            Whether less is better; :obj:`None` if unknown.
    """
    known = sorted({float(f"{x:.{_MAX_RESULT_DIGITS}g}") for x in results if math.isfinite(x)})
    if len(known) < 2:
        return Spread()
    cut, half = (len(known) - 1) // 4, max(_MIN_HALF, (len(known) + 1) // 2)
    parts = [known[cut : len(known) - cut]]
    if minimize is not None:
        parts.append(known[:half] if minimize else known[-half:])
    return min((Spread(part[0], part[-1]) for part in parts), key=lambda s: s.high - s.low)


def spreads_of(rows: Iterable[Sequence[float]], directions: Sequence[str]) -> tuple[Spread, ...]:
    """Return the spread of each objective's values, skipping trials without values."""
    known = [row for row in rows if len(row) == len(directions)]
    return tuple(
        spread_of((row[i] for row in known), minimize=direction == "minimize")
        for i, direction in enumerate(directions)
    )


def result_text(value: float, *spreads: Spread, digits: int = 4, parts: int = _PARTS) -> str:
    """Write a result, such as an objective's value.

    Args:
        value:
            The result.
        spreads:
            Spreads of the results from which it must be told apart.
        digits:
            Smallest number of significant digits.
        parts:
            Results that differ by more than the spread over this read differently.
    """
    off = min(spread.at(value) for spread in spreads) / (2 * parts)
    return _shortest(
        value,
        digits,
        _MAX_RESULT_DIGITS,
        lambda other: other == value or abs(other - value) <= off,
    )
