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

from .conditions import Conditions
from .conditions import parent_values
from .space import SearchSpace


# A parameter that so many complete trials have not had, for no known reason, is asked for no more.
_FORGOTTEN_AFTER = 20
# More parameters than these are not looked at as parents: a trial must stay cheap to take in.
_MAX_PARENTS = 64


@dataclass
class _Seen:
    """What is known of one parameter.

    Attributes:
        before:
            How many complete trials there were before it appeared.
        last:
            Highest number of a trial that had it.
        n, n_full:
            How many trials, and how many complete ones, had it.
        beside:
            By possible parent, by its value as Optuna stores it: how many trials, and how many
            complete ones, had both. A trial that failed shows what is used, but not what is not:
            it may have failed before it asked for the rest.
    """

    before: int
    last: int = -1
    n: int = 0
    n_full: int = 0
    beside: dict[str, dict[float, list[int]]] = field(default_factory=dict)


class Structure:
    """Learns from finished trials, one at a time. Not thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._domains: dict[str, tuple[Any, ...] | None] = {}
        self._n_full = 0
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
        self._cached = None
        parents = {n: v for n, v in internal.items() if self._may_decide(n, distributions[n])}
        for name in internal:
            seen = self._seen.get(name)
            if seen is None:
                seen = self._seen[name] = _Seen(self._n_full)
            seen.last = max(seen.last, number)
            seen.n += 1
            seen.n_full += full
            for parent, value in parents.items():
                counts = seen.beside.setdefault(parent, {}).setdefault(value, [0, 0])
                counts[0] += 1
                counts[1] += full
        if full:
            self._n_full += 1
            self._last = max(self._last, number)

    def _may_decide(self, name: str, distribution: BaseDistribution) -> bool:
        """Tell whether a parameter can be a parent: it has few values, and they do not move."""
        if isinstance(distribution, CategoricalDistribution):
            domain: tuple[Any, ...] = distribution.choices
        elif isinstance(distribution, IntDistribution) and parent_values(distribution):
            domain = ("integer",)
        else:
            return False
        if name not in self._domains and len(self._domains) >= _MAX_PARENTS:
            return False
        known = self._domains.setdefault(name, domain)
        if known is not None and known != domain:
            self._domains[name] = None
        return self._domains[name] is not None

    def unexplained(self, names: Sequence[str], conditions: Conditions) -> frozenset[str]:
        """Return the parameters that some trials lack for no known reason.

        One that all complete trials have since it appeared is new, not optional.
        """
        return frozenset(
            name
            for name in names
            if name not in conditions
            and (seen := self._seen.get(name)) is not None
            and seen.n_full < self._n_full - seen.before
        )

    def forgotten(self, conditions: Conditions) -> frozenset[str]:
        """Return the parameters that no recent trial has had, for no known reason."""
        return frozenset(
            name
            for name, seen in self._seen.items()
            if name not in conditions and self._last - seen.last >= _FORGOTTEN_AFTER
        )

    def seen(self, name: str, distribution: BaseDistribution) -> frozenset[Any]:
        """Return the values that a possible parent has had: labels of choices, or integers."""
        values = parent_values(distribution)
        if values is None or self._domains.get(name) is None:
            return frozenset(values or ())
        return frozenset(_external(self._beside(name, name), distribution, values))

    def conditions(self, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Explain the parameters that only some trials have."""
        if self._cached is None:
            self._cached = self._infer(space)
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
        parents = [p for p, domain in self._domains.items() if domain is not None and p in space]
        for name in space:
            seen = self._seen.get(name)
            if seen is None or seen.n_full == self._n_full:
                continue
            candidates[name] = {}
            for parent in parents:
                values, lacking = self._beside(name, parent), self._lacking(name, parent)
                always = sum(n for n, _ in seen.beside.get(parent, {}).values()) == seen.n
                if parent != name and always and lacking and values.isdisjoint(lacking):
                    candidates[name][parent] = values
                    explains[parent] = explains.get(parent, 0) + 1

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

    def _beside(self, name: str, parent: str) -> set[float]:
        """Return the values of a parent in trials that had a parameter."""
        seen = self._seen.get(name)
        return set(seen.beside.get(parent, ())) if seen is not None else set()

    def _lacking(self, name: str, parent: str) -> set[float]:
        """Return the values of a parent in complete trials that lacked a parameter."""
        have = self._seen[name].beside.get(parent, {})
        return {
            value
            for value, (_, n_full) in self._seen[parent].beside[parent].items()
            if n_full > have.get(value, (0, 0))[1]
        }

    def _allowed(
        self, name: str, parent: str, seen: set[float], distribution: BaseDistribution
    ) -> tuple[Any, ...]:
        values = parent_values(distribution) or ()
        allowed = set(_external(seen, distribution, values))
        if isinstance(distribution, IntDistribution) and allowed:
            # "units of the third layer": with 3 layers and more, though 5 were never tried
            lacking = self._lacking(name, parent)
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
