"""Which parameters appeared together in the trials of a study, and what that says.

Optuna's define-by-run objectives tell nobody their structure. A parameter that some trials have
and others have not is explained by a parent, a choice or a small integer, of which the values
with it and the values without it are disjoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from ._branches import Conditions
from ._branches import parent_values
from ._space import SearchSpace


# More combinations of parameters than this are not explained: a question must stay cheap.
_MAX_KINDS = 64
# A parameter that so many trials have not had, for no known reason, is not asked for any more.
_FORGOTTEN_AFTER = 20


@dataclass
class _Kind:
    """Trials with the same parameters.

    Attributes:
        full:
            Whether they completed: a trial that failed may not have asked for all it needs.
        first, last:
            Lowest and highest number.
        values:
            By possible parent, the values seen, as Optuna stores them.
    """

    full: bool
    first: int
    last: int
    values: dict[str, set[float]] = field(default_factory=dict)


class Structure:
    """Learns from finished trials, one at a time. Not thread-safe."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[frozenset[str], bool], _Kind] = {}
        self._overflow = False
        self._domains: dict[str, tuple[Any, ...] | None] = {}
        self._last = -1
        self._cached: dict[str, dict[str, set[float]]] | None = None

    def add(
        self,
        number: int,
        internal: Mapping[str, float],
        distributions: Mapping[str, BaseDistribution],
        *,
        full: bool,
    ) -> None:
        """Take in the parameters of a trial, as Optuna stores them."""
        key = frozenset(internal), full
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _MAX_KINDS:
                self._overflow = True
                return
            kind = self._kinds[key] = _Kind(full, number, number)
            self._cached = None
        kind.first, kind.last = min(kind.first, number), max(kind.last, number)
        if full:
            self._last = max(self._last, number)
        for name, value in internal.items():
            if self._may_decide(name, distributions[name]):
                seen = kind.values.setdefault(name, set())
                if value not in seen and len(seen) < _MAX_KINDS:
                    seen.add(value)
                    self._cached = None

    def _may_decide(self, name: str, distribution: BaseDistribution) -> bool:
        """Tell whether a parameter can be a parent: it has few values, and they do not move."""
        if isinstance(distribution, CategoricalDistribution):
            domain: tuple[Any, ...] | None = distribution.choices
        elif isinstance(distribution, IntDistribution):
            domain = ("integer",)
        else:
            return False
        known = self._domains.setdefault(name, domain)
        if known is not None and known != domain:
            self._domains[name] = None
            self._cached = None
        return self._domains[name] is not None

    def unexplained(self, names: Sequence[str], conditions: Conditions) -> frozenset[str]:
        """Return the parameters that some trials lack for no known reason.

        One that all trials have since it appeared is new, not optional.
        """
        found = set()
        for name in names:
            with_, without = self._split(name)
            begin = min((kind.first for kind in with_), default=0)
            if name not in conditions and any(k.full and k.last > begin for k in without):
                found.add(name)
        return frozenset(found)

    def forgotten(self, conditions: Conditions) -> frozenset[str]:
        """Return the parameters that no recent trial has had, for no known reason."""
        last: dict[str, int] = {}
        for (names, _), kind in self._kinds.items():
            for name in names:
                last[name] = max(last.get(name, -1), kind.last)
        return frozenset(
            name
            for name, number in last.items()
            if name not in conditions and self._last - number >= _FORGOTTEN_AFTER
        )

    def seen(self, name: str, distribution: BaseDistribution) -> frozenset[Any]:
        """Return the values that a possible parent has had: labels of choices, or integers."""
        values = parent_values(distribution)
        if values is None or self._domains.get(name) is None:
            return frozenset(values or ())
        found = {value for kind in self._kinds.values() for value in kind.values.get(name, ())}
        return frozenset(_external(found, distribution, values))

    def conditions(self, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Explain the parameters that only some trials have."""
        if self._cached is None:
            self._cached = {} if self._overflow else self._infer(space)
        found: dict[str, dict[str, tuple[Any, ...]]] = {}
        for name, parents in self._cached.items():
            for parent, seen in parents.items():
                if name in space and parent in space:
                    allowed = self._allowed(name, parent, seen, space[parent])
                    if allowed:
                        found[name] = {parent: allowed}
        return found

    def _infer(self, space: SearchSpace) -> dict[str, dict[str, set[float]]]:
        candidates: dict[str, dict[str, set[float]]] = {}
        explains: dict[str, int] = {}
        for name in space:
            with_, without = self._split(name)
            if not with_ or not any(kind.full for kind in without):
                continue
            found = {}
            for parent, domain in self._domains.items():
                if domain is None or parent == name or parent not in space:
                    continue
                positive = [kind.values.get(parent) for kind in with_]
                negative = [kind.values.get(parent, set()) for kind in without if kind.full]
                if not all(positive) or not any(negative):
                    continue
                values = set().union(*(v for v in positive if v))
                if values.isdisjoint(set().union(*negative)):
                    found[parent] = values
                    explains[parent] = explains.get(parent, 0) + 1
            candidates[name] = found

        def doubt(name: str, parent: str) -> tuple[bool, bool, int, str]:
            distribution = space[parent]
            values = parent_values(distribution) or ()
            named = _external(candidates[name][parent], distribution, values)
            hinted = any(str(value).casefold() in name.casefold() for value in named)
            integer = isinstance(distribution, IntDistribution)
            return not hinted, integer, -explains[parent], parent

        return {
            name: {parent: found[parent]}
            for name, found in candidates.items()
            if found
            for parent in [min(found, key=lambda p, n=name: doubt(n, p))]  # type: ignore[misc]
        }

    def _split(self, name: str) -> tuple[list[_Kind], list[_Kind]]:
        """Return the kinds of trials with a parameter and those without it."""
        with_ = [kind for (names, _), kind in self._kinds.items() if name in names]
        return with_, [kind for (names, _), kind in self._kinds.items() if name not in names]

    def _allowed(
        self, name: str, parent: str, seen: set[float], distribution: BaseDistribution
    ) -> tuple[Any, ...]:
        values = parent_values(distribution) or ()
        allowed = set(_external(seen, distribution, values))
        if isinstance(distribution, IntDistribution) and allowed:
            # "units of the third layer": with 3 layers and more, though 5 were never tried
            _, without = self._split(name)
            lacking = {v for kind in without if kind.full for v in kind.values.get(parent, ())}
            if lacking and max(lacking) < min(allowed):
                allowed = {value for value in values if value >= min(allowed)}
            elif lacking and min(lacking) > max(allowed):
                allowed = {value for value in values if value <= max(allowed)}
        return tuple(value for value in values if value in allowed)


def _external(
    internal: set[float], distribution: BaseDistribution, values: Sequence[Any]
) -> list[Any]:
    """Return what is stored as labels or integers."""
    if isinstance(distribution, CategoricalDistribution):
        return [values[int(index)] for index in internal if int(index) < len(values)]
    return [int(value) for value in internal]
