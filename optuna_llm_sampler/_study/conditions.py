"""Conditional search spaces: conditions between parameters, branches, and their text.

A parameter is used if each of its parents has one of the values in its condition. A branch is a
choice of values for the parents, with the parameters that are then used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, TypeAlias, TypeVar

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from .space import labels, SearchSpace


# By parameter and parent: the parent's values, labels or integers, with which the parameter is
# used. With several parents, all must hold.
Conditions: TypeAlias = Mapping[str, Mapping[str, tuple[Any, ...]]]
_W = TypeVar("_W")

# An integer with more values than this cannot be a parent.
MAX_PARENT_VALUES = 64
_MAX_VALUES_IN_WORDS = 6


@dataclass(frozen=True)
class Branch:
    """Parameters that are used together."""

    where: Mapping[str, tuple[Any, ...]]  # values of each parent that lead to this branch
    names: tuple[str, ...]  # all parameters that are used, parents first


def parent_values(distribution: BaseDistribution) -> tuple[Any, ...] | None:
    """Return the values of a possible parent, labels or integers; :obj:`None` for others."""
    if isinstance(distribution, CategoricalDistribution):
        return labels(distribution) if len(distribution.choices) <= MAX_PARENT_VALUES else None
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        if (high - low) // step < MAX_PARENT_VALUES:
            return tuple(range(low, high + 1, step))
    return None


def parents_first(space: SearchSpace, conditions: Conditions) -> dict[str, BaseDistribution]:
    """Order a space so that parents precede their children.

    Raises:
        ValueError: A parameter depends on itself.
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


def _within(conditions: Conditions, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Restrict conditions to the parameters of a space and the values that they have."""
    kept: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, parents in conditions.items():
        known = {
            parent: tuple(
                value for value in parent_values(space[parent]) or () if value in allowed
            )
            for parent, allowed in parents.items()
            if parent in space
        }
        if name in space and any(known.values()):
            kept[name] = {parent: values for parent, values in known.items() if values}
    return kept


def combined(
    given: Conditions, inferred: Conditions, space: SearchSpace
) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Combine the user's conditions with inferred ones; the user's take precedence."""
    both = _within({**inferred, **given}, space)
    try:
        parents_first(space, both)
    except ValueError:  # a circle
        return _within(given, space)
    return both


def grouped(names: Iterable[str], where: Callable[[str], _W]) -> list[tuple[_W, list[str]]]:
    """Put parameters that are used in the same case together, where the first of them stands."""
    groups: list[tuple[_W, list[str]]] = []
    for name in names:
        case = where(name)
        same = next((group for other, group in groups if other == case), None)
        if same is None:
            groups.append((case, [name]))
        else:
            same.append(name)
    return groups


def of_branch(params: Mapping[str, Any], conditions: Conditions) -> dict[str, Any]:
    """Drop the parameters of other branches from a configuration of labels and numbers.

    A condition on a parent that the configuration lacks counts as met.
    """

    def is_used(name: str) -> bool:
        return all(
            parent not in params or (params[parent] in allowed and is_used(parent))
            for parent, allowed in conditions.get(name, {}).items()
        )

    return {name: value for name, value in params.items() if is_used(name)}


def branches(space: SearchSpace, conditions: Conditions, limit: int) -> list[Branch]:
    """Return the first branches of a space, at most ``limit``; one if there are no conditions."""
    ordered = parents_first(space, conditions)
    children: dict[str, list[str]] = {}
    for name, needed in conditions.items():
        for parent in needed:
            children.setdefault(parent, []).append(name)
    parents = [name for name in ordered if name in children]

    def is_used(name: str, where: Mapping[str, tuple[Any, ...]]) -> bool:
        return all(
            parent in where and where[parent][0] in allowed
            for parent, allowed in conditions.get(name, {}).items()
        )

    def walk(at: int, where: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, tuple[Any, ...]]]:
        if at == len(parents):
            yield where
        elif is_used(name := parents[at], where):
            for group in _alike(parent_values(ordered[name]) or (), name, children, conditions):
                yield from walk(at + 1, {**where, name: group})
        else:
            yield from walk(at + 1, where)

    return [
        Branch(where, tuple(name for name in ordered if is_used(name, where)))
        for where in islice(walk(0, {}), limit)
    ]


def _alike(
    values: Sequence[Any], name: str, children: Mapping[str, list[str]], conditions: Conditions
) -> list[tuple[Any, ...]]:
    """Group the values of a parent that lead to the same parameters."""
    groups: dict[tuple[bool, ...], list[Any]] = {}
    for value in values:
        key = tuple(value in conditions[child][name] for child in children[name])
        groups.setdefault(key, []).append(value)
    return [tuple(group) for group in groups.values()]


# --- text -----------------------------------------------------------------------------------


def tree(space: SearchSpace, conditions: Conditions) -> list[tuple[int, str, tuple[str, ...]]]:
    """Write a space as lines of depth, condition in words, and parameters.

    The parameters that are always used come first, with the condition ``""``.
    """
    ordered = parents_first(space, conditions)

    def depth(name: str) -> int:
        return 1 + max((depth(p) for p in conditions.get(name, {})), default=-1)

    def path(name: str) -> tuple[Any, ...]:
        """Sort key: children come below the line of their parent."""
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
