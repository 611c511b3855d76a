"""One range or list of choices that the words state, and what several of them leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

from .._study.numbers import exact
from ..errors import ContradictionError
from .units import ratio


@dataclass(frozen=True)
class Fact:
    """One range or list of choices in the words.

    Attributes:
        words:
            The excerpt that says so.
        before, after:
            Words around it; they probably name the parameter.
        low, high:
            The bounds, included.
        above, below:
            The bounds, excluded.
        choices:
            Numbers or texts.
        percent:
            Whether the bounds are percentages.
        unit:
            The unit after the numbers, as :mod:`.units` spells it.
    """

    words: str
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    choices: tuple[float | str, ...] = ()
    percent: bool = False
    unit: str = ""

    @property
    def subject(self) -> frozenset[str]:
        return self.before or self.after

    def allows(self, value: float) -> bool:
        return self.low <= value <= self.high and self.above < value < self.below

    def bounded(self, **bounds: Any) -> Fact:
        """Return this fact with other bounds."""
        return replace(self, **bounds)

    def scaled(self, factor: float) -> Fact:
        """Return this fact in a unit that is smaller by this factor, or as a share."""
        bounds = {n: getattr(self, n) * factor for n in ("low", "high", "above", "below")}
        numbers = (c if isinstance(c, str) else c * factor for c in self.choices)
        return self.bounded(**bounds, choices=tuple(numbers), percent=False, unit="")


def intersection(facts: Sequence[Fact]) -> Fact:
    """Return the range and choices that satisfy all facts.

    Raises:
        ContradictionError: There are none.
    """
    units = {fact.unit for fact in facts if fact.unit}
    if len(units) > 1:
        smallest = min(units, key=lambda unit: ratio(unit, facts[0].unit or unit) or 1.0)
        facts = [in_unit(fact, smallest) or fact for fact in facts]
    both = Fact(
        words="; ".join(fact.words for fact in facts),
        low=max(fact.low for fact in facts),
        high=min(fact.high for fact in facts),
        above=max(fact.above for fact in facts),
        below=min(fact.below for fact in facts),
        percent=any(fact.percent for fact in facts),
    )
    lists = [fact.choices for fact in facts if fact.choices]
    common = [c for c in (lists[0] if lists else ()) if all(c in other for other in lists[1:])]
    common = [c for c in common if isinstance(c, str) or both.allows(c)]
    low, high = max(both.low, both.above), min(both.high, both.below)
    is_empty = low > high or (low == high and not both.allows(low))
    if is_empty or (lists and not common):
        quoted = " and ".join(repr(fact.words) for fact in facts)
        raise ContradictionError(f"The words contradict themselves: {quoted}.")
    return replace(both, choices=tuple(common))


def in_unit(fact: Fact, unit: str) -> Fact | None:
    """Return a fact in another unit; :obj:`None` if its own measures something else."""
    if not fact.unit:
        return fact
    factor = ratio(fact.unit, unit)
    return None if factor is None else replace(fact.scaled(factor), unit=unit)


def in_words(fact: Fact) -> str:
    """Write the bounds or choices in words."""
    if fact.choices:
        return "one of " + ", ".join(c if isinstance(c, str) else exact(c) for c in fact.choices)
    unit = " %" if fact.percent else ""
    names = {"low": "at least", "high": "at most", "above": "more than", "below": "less than"}
    parts = (
        f"{words} {exact(value)}{unit}"
        for name, words in names.items()
        if math.isfinite(value := getattr(fact, name))
    )
    return ", ".join(parts)
