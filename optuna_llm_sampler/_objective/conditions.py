"""Put the ways through an objective together: a space, and the conditions between parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution

from .path import domain, Path


# By parameter and parent: indexes of the parent's values with which the parameter is used.
_Boxes = dict[str, dict[str, frozenset[int]]]


def combine(
    paths: Sequence[Path],
) -> tuple[dict[str, BaseDistribution], dict[str, dict[str, list[Any]]], dict[str, str]]:
    """Return the space, the conditions and what is left out, in words.

    A parameter is used if each of its parents has one of the values in its condition, on all
    paths that do not end with an exception. What cannot be said in this form is left out.
    """
    left_out = {key: words for path in paths for key, words in path.left_out.items()}
    space: dict[str, BaseDistribution] = {}
    for path in paths:
        for name, distribution in path.found.items():
            if distribution is None:
                continue
            if space.setdefault(name, distribution) != distribution:
                left_out.setdefault(name, f"{name!r} has several ranges")
    ended = [path for path in paths if not path.has_raised]
    boxes: _Boxes = {}
    while True:
        known = {name: len(domain(space[name])) for name in space if name not in left_out}
        boxes = {}
        for name in known:
            box = _box(name, ended, known)
            if box is None:
                left_out[name] = _why(name, paths)
            else:
                boxes[name] = box
        if len(boxes) == len(known):  # no parent was left out
            break
    left_out.update((name, f"{name!r} depends on itself") for name in _in_circles(boxes))
    space = {name: space[name] for name in boxes if name not in left_out}
    conditions = {
        name: {parent: [domain(space[parent])[i] for i in sorted(box[parent])] for parent in box}
        for name, box in boxes.items()
        if box and name in space
    }
    return space, conditions, left_out


def _box(
    name: str, paths: Sequence[Path], n_values: Mapping[str, int]
) -> dict[str, frozenset[int]] | None:
    """Return the condition of a parameter, :obj:`None` if it cannot be said with certainty."""
    having = [path for path in paths if name in path.found]
    lacking = [path for path in paths if name not in path.found]
    if not having or any(path.is_open for path in lacking):
        return None
    box = {}
    for parent in n_values:
        if parent != name and all(parent in path.where for path in having):
            allowed = frozenset(i for path in having for i in path.where[parent])
            if len(allowed) < n_values[parent]:
                box[parent] = allowed
    for parent in list(box):
        rest = {key: value for key, value in box.items() if key != parent}
        if not any(_meets(path, rest) for path in lacking):
            box = rest
    return None if any(_meets(path, box) for path in lacking) else box


def _meets(path: Path, box: Mapping[str, frozenset[int]]) -> bool:
    """Return whether trials on a path can meet a condition."""
    return all(
        not allowed.isdisjoint(path.where.get(parent, ())) for parent, allowed in box.items()
    )


def _why(name: str, paths: Sequence[Path]) -> str:
    because = next((path.reasons[name] for path in paths if path.reasons.get(name)), "")
    return f"{name!r} depends on {because}" if because else f"when {name!r} is used"


def _in_circles(boxes: _Boxes) -> list[str]:
    """Return the parameters that are no ancestor-first order of, and what depends on them."""
    placed: set[str] = set()
    while True:
        more = {n for n, box in boxes.items() if n not in placed and placed.issuperset(box)}
        if not more:
            return [name for name in boxes if name not in placed]
        placed |= more
