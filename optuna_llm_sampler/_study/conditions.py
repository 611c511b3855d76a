"""Conditional spaces: which parameters are used together, as plain data.

A condition says with which values of its parents a parameter is used. A branch is a choice of
values for the parents, and the parameters that are used then.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from itertools import islice
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from .space import labels
from .space import SearchSpace


# By parameter and parent: labels of choices, or integers, with which the parameter is used. With
# several parents, all must hold.
Conditions: TypeAlias = Mapping[str, Mapping[str, tuple[Any, ...]]]

# An integer with more values than this cannot be a parent.
MAX_PARENT_VALUES = 64
_MAX_VALUES_IN_WORDS = 6


@dataclass(frozen=True)
class Branch:
    """Parameters that are used together.

    Attributes:
        where:
            By parent, the values that lead here.
        names:
            All parameters that are used, parents first.
    """

    where: Mapping[str, tuple[Any, ...]]
    names: tuple[str, ...]


def parent_values(distribution: BaseDistribution) -> tuple[Any, ...] | None:
    """Return the values of a parameter that can decide about others, else :obj:`None`."""
    if isinstance(distribution, CategoricalDistribution):
        return labels(distribution) if len(distribution.choices) <= MAX_PARENT_VALUES else None
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        if (high - low) // step < MAX_PARENT_VALUES:
            return tuple(range(low, high + 1, step))
    return None


def parents_first(space: SearchSpace, conditions: Conditions) -> dict[str, BaseDistribution]:
    """Order a space so that no parameter comes before one that decides about it.

    Raises:
        ValueError: Parameters decide about each other in a circle.
    """
    ordered: dict[str, BaseDistribution] = {}

    def place(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"{name!r} depends on itself.")
        if name in ordered or name not in space:
            return
        for parent in conditions.get(name, {}):
            place(parent, (*path, name))
        ordered[name] = space[name]

    for name in space:
        place(name, ())
    return ordered


def within(conditions: Conditions, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Keep what can be said of a space: known parameters, and parents with values they have."""
    kept: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, parents in conditions.items():
        known = {p: _known(allowed, space[p]) for p, allowed in parents.items() if p in space}
        if name in space and any(known.values()):
            kept[name] = {parent: allowed for parent, allowed in known.items() if allowed}
    return kept


def combined(
    given: Conditions, inferred: Conditions, space: SearchSpace
) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Complete what the user said by what the trials show; the user's words count more."""
    both = within({**inferred, **given}, space)
    try:
        parents_first(space, both)
    except ValueError:  # together they make a circle
        return within(given, space)
    return both


def _known(allowed: Sequence[Any], distribution: BaseDistribution) -> tuple[Any, ...]:
    values = parent_values(distribution) or ()
    return tuple(value for value in values if value in allowed)


def of_branch(params: Mapping[str, Any], conditions: Conditions) -> dict[str, Any]:
    """Drop the parameters of other branches from a configuration (choices as labels).

    Where a parent is missing from the configuration, nothing is known and nothing is dropped.
    """
    dropped: set[str] = set()
    pending = [name for name in params if name in conditions]
    changed = True
    while changed:
        changed = False
        for name in pending:
            if name in dropped:
                continue
            for parent, allowed in conditions[name].items():
                gone = parent in dropped
                if gone or (parent in params and params[parent] not in allowed):
                    dropped.add(name)
                    changed = True
                    break
    return {name: value for name, value in params.items() if name not in dropped}


def branches(space: SearchSpace, conditions: Conditions, limit: int) -> list[Branch]:
    """Return the first branches of a space; a single one when there are no conditions."""
    ordered = parents_first(space, conditions)
    children: dict[str, list[str]] = {}
    for name, parents in conditions.items():
        for parent in parents:
            children.setdefault(parent, []).append(name)
    names = list(ordered)

    def walk(at: int, where: dict[str, tuple[Any, ...]], used: list[str]) -> Iterator[Branch]:
        if at == len(names):
            yield Branch(where, tuple(used))
            return
        name = names[at]
        if not all(
            parent in where and where[parent][0] in allowed
            for parent, allowed in conditions.get(name, {}).items()
        ):
            yield from walk(at + 1, where, used)
            return
        if name not in children:
            yield from walk(at + 1, where, [*used, name])
            return
        for group in _alike(parent_values(ordered[name]) or (), name, children, conditions):
            yield from walk(at + 1, {**where, name: group}, [*used, name])

    return list(islice(walk(0, {}, []), limit))


def _alike(
    values: Sequence[Any], name: str, children: Mapping[str, list[str]], conditions: Conditions
) -> list[tuple[Any, ...]]:
    """Group the values of a parent that lead to the same parameters."""
    groups: dict[tuple[bool, ...], list[Any]] = {}
    for value in values:
        key = tuple(value in conditions[child][name] for child in children[name])
        groups.setdefault(key, []).append(value)
    return [tuple(group) for group in groups.values()]


# --- in words -------------------------------------------------------------------------------


def tree(space: SearchSpace, conditions: Conditions) -> list[tuple[int, str, tuple[str, ...]]]:
    """Write the structure as lines: depth, the condition in words, the parameters.

    The first line holds the parameters that are always used, with ``""`` for a condition.
    """
    ordered = parents_first(space, conditions)

    def depth(name: str) -> int:
        return 1 + max((depth(p) for p in conditions.get(name, {})), default=-1)

    def path(name: str) -> tuple[Any, ...]:
        """Sort children below the line that holds their parent."""
        deepest = max(conditions.get(name, {}), key=depth, default=None)
        if deepest is None:
            return ()
        return (*path(deepest), (list(ordered).index(deepest), words(conditions[name])))

    lines = groupby(sorted(ordered, key=path), key=path)
    return [
        (len(key), key[-1][1] if key else "", tuple(names))
        for key, names in ((key, list(group)) for key, group in lines)
    ]


def words(where: Mapping[str, Sequence[Any]]) -> str:
    """Write a condition: ``"model" = "svm" and "layers" = 3 to 8``."""
    return " and ".join(f'"{name}" = {_values(values)}' for name, values in where.items())


def _values(values: Sequence[Any]) -> str:
    whole = len(values) > 2 and all(isinstance(v, int) for v in values)
    if whole and max(values) - min(values) + 1 == len(values):
        return f"{min(values)} to {max(values)}"
    shown = [f'"{v}"' if isinstance(v, str) else str(v) for v in values[:_MAX_VALUES_IN_WORDS]]
    more = len(values) - len(shown)
    return " or ".join(shown) + (f" or {more} others" if more else "")
