"""Infer conditions from the parameters that trials had.

Optuna's define-by-run objectives do not declare their structure. A parameter that only some trials
have is explained by a parent, a choice or a small integer, whose values in trials with it and in
trials without it are disjoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from .conditions import Conditions, parent_values
from .space import SearchSpace


# An unexplained parameter is dropped after this many trials without it.
_FORGOTTEN_AFTER = 20
# The first parents are enough: adding a trial must stay cheap.
_MAX_PARENTS = 64


@dataclass
class _Seen:
    """The trials that had one parameter.

    A failed trial shows which parameters are used, but not which are unused: it may have failed
    before it asked for them. So complete trials are counted separately.
    """

    before: int  # number of complete trials before the parameter appeared
    last: int = -1  # highest number of a trial that had it
    # Numbers of all and of complete trials that had it.
    n: int = 0
    n_full: int = 0
    # The same two numbers by possible parent and by its value as Optuna stores it.
    beside: dict[str, dict[float, list[int]]] = field(default_factory=dict)


class Structure:
    """Conditions inferred from finished trials, added one at a time. Not thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._domains: dict[str, tuple[Any, ...] | None] = {}
        self._n_full = 0
        self._last = -1
        self._inferred: dict[str, tuple[str, set[float]]] | None = None

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial."""
        distributions = trial.distributions
        internal = {n: distributions[n].to_internal_repr(v) for n, v in trial.params.items()}
        full = trial.state == TrialState.COMPLETE
        self._inferred = None
        parents = {n: v for n, v in internal.items() if self._may_decide(n, distributions[n])}
        for name in internal:
            seen = self._seen.get(name)
            if seen is None:
                seen = self._seen[name] = _Seen(self._n_full)
            seen.last = max(seen.last, trial.number)
            seen.n += 1
            seen.n_full += full
            for parent, value in parents.items():
                counts = seen.beside.setdefault(parent, {}).setdefault(value, [0, 0])
                counts[0] += 1
                counts[1] += full
        if full:
            self._n_full += 1
            self._last = max(self._last, trial.number)

    def _may_decide(self, name: str, distribution: BaseDistribution) -> bool:
        """Tell whether a parameter can be a parent: few values, the same in all trials."""
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
        """Return the parameters that some trials lack and no condition explains.

        A parameter that all complete trials have had since it appeared is new, not optional.
        """
        return frozenset(
            name
            for name in names
            if name not in conditions
            and (seen := self._seen.get(name)) is not None
            and seen.n_full < self._n_full - seen.before
        )

    def forgotten(self, conditions: Conditions) -> frozenset[str]:
        """Return the parameters that no recent trial had and no condition explains."""
        return frozenset(
            name
            for name, seen in self._seen.items()
            if name not in conditions and self._last - seen.last >= _FORGOTTEN_AFTER
        )

    def untried(self, space: SearchSpace) -> dict[str, tuple[Any, ...]]:
        """Return the values that no trial has had, labels or integers, by possible parent."""
        found = {}
        for name, distribution in space.items():
            values = parent_values(distribution) or ()
            if self._domains.get(name) is not None:
                seen = _external(self._beside(name, name), distribution, values)
                found[name] = tuple(value for value in values if value not in seen)
        return {name: values for name, values in found.items() if values}

    def conditions(self, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Infer a condition with one parent for each parameter that only some trials have."""
        if self._inferred is None:
            self._inferred = self._infer(space)
        found: dict[str, dict[str, tuple[Any, ...]]] = {}
        for name, (parent, seen) in self._inferred.items():
            if name not in space or parent not in space:
                continue
            if allowed := self._allowed(name, parent, seen, space[parent]):
                found[name] = {parent: allowed}
        return found

    def _infer(self, space: SearchSpace) -> dict[str, tuple[str, set[float]]]:
        """Return the likeliest parent of each parameter, and its values in trials with both."""
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

        def order(name: str, parent: str) -> tuple[bool, bool, int, str]:
            """Sort key: first parents with a value in the child's name, then choices."""
            distribution = space[parent]
            values = parent_values(distribution) or ()
            named = _external(candidates[name][parent], distribution, values)
            hinted = any(str(value).casefold() in name.casefold() for value in named)
            integer = isinstance(distribution, IntDistribution)
            return not hinted, integer, -explains[parent], parent

        inferred = {}
        for name, found in candidates.items():
            if found:
                parent = min(found, key=partial(order, name))
                inferred[name] = parent, found[parent]
        return inferred

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
            # "units of layer 3" is used with 3 layers and more, though 5 were never tried.
            lacking = self._lacking(name, parent)
            if lacking and max(lacking) < min(allowed):
                allowed = {value for value in values if value >= min(allowed)}
            elif lacking and min(lacking) > max(allowed):
                allowed = {value for value in values if value <= max(allowed)}
        return tuple(value for value in values if value in allowed)


def _external(
    internal: set[float], distribution: BaseDistribution, values: Sequence[Any]
) -> list[Any]:
    """Return stored values as labels or integers."""
    if isinstance(distribution, CategoricalDistribution):
        return [values[int(index)] for index in internal if int(index) < len(values)]
    return [int(value) for value in internal]
