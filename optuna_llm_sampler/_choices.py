"""The choices of a categorical distribution by the names that a model may call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
import json
import math
from typing import Any

from optuna.distributions import CategoricalDistribution


# A number longer than this is an attack or a runaway answer; int("9" * 10**6) takes seconds.
MAX_DIGITS = 40


def labels(distribution: CategoricalDistribution) -> tuple[str, ...]:
    """Name each choice by a text that is unique among the choices.

    Categoricals travel as labels and come back by index, because ``True == 1`` and because JSON
    has no word for most Python values. A string is its own label unless another choice, or a
    number or keyword, reads the same; then it is put in quotes.
    """
    return _lookup(distribution).labels


@dataclass(frozen=True)
class _Lookup:
    """What a model may call the choices of one distribution, each with the choice's index.

    Attributes:
        labels:
            By index.
        index:
            By label.
        strings:
            Choices that are strings.
        folded:
            Labels in lower case and without quotes; -1 where there are several.
        numbers, label_numbers:
            Choices, and labels, that can be read as a number.
    """

    labels: tuple[str, ...]
    index: Mapping[str, int]
    strings: Mapping[str, int]
    folded: Mapping[str, int]
    numbers: tuple[tuple[float, int], ...]
    label_numbers: tuple[tuple[float, int], ...]


def _lookup(distribution: CategoricalDistribution) -> _Lookup:
    try:
        return _cached_lookup(*distribution.choices)
    except TypeError:  # choices that cannot be hashed; Optuna warns of them, but takes them
        return _make_lookup(*distribution.choices)


def _make_lookup(*choices: Any) -> _Lookup:
    names = _unique_labels(choices)
    strings: dict[str, int] = {}
    folded: dict[str, int] = {}
    for i, (choice, name) in enumerate(zip(choices, names, strict=True)):
        if isinstance(choice, str):
            strings.setdefault(choice, i)
        folded[_fold(name)] = -1 if _fold(name) in folded else i
    return _Lookup(
        labels=names,
        index={name: i for i, name in enumerate(names)},
        strings=strings,
        folded=folded,
        numbers=_numbers_in(choices),
        label_numbers=_numbers_in(names),
    )


# One answer asks for the same few distributions some thousand times. Typed: True is not 1.
_cached_lookup = lru_cache(maxsize=64, typed=True)(_make_lookup)


def _unique_labels(choices: Sequence[Any]) -> tuple[str, ...]:
    plain = [c if isinstance(c, str) else _literal(c) for c in choices]
    count = Counter(plain)
    used: dict[str, int] = {}
    for choice, label in zip(choices, plain, strict=True):
        if isinstance(choice, str) and count[label] > 1:
            label = json.dumps(choice)
        unique = label
        while unique in used:  # equal choices, e.g. ("a", "a"): only the first is ever meant
            used[label] += 1
            unique = f"{label}'{used[label]}"
        used[unique] = 1
    return tuple(used)


def _numbers_in(values: Sequence[Any]) -> tuple[tuple[float, int], ...]:
    numbers = ((to_number(value)[0], i) for i, value in enumerate(values))
    return tuple((float(number), i) for number, i in numbers if number is not None)


def _literal(choice: Any) -> str:
    return (
        repr(choice) if choice is None or isinstance(choice, (bool, int, float)) else str(choice)
    )


def find_choice(value: Any, distribution: CategoricalDistribution) -> tuple[int | None, str]:
    """Return the index of the choice that a model means, or None, and how it was read."""
    lookup = _lookup(distribution)
    if isinstance(value, str):
        if value in lookup.index:
            return lookup.index[value], ""
        if value in lookup.strings:
            return lookup.strings[value], "relabelled"
        return _find_similar(value, lookup)
    if value is None or isinstance(value, (bool, int, float)):
        for i, choice in enumerate(distribution.choices):
            if type(choice) is type(value) and choice == value:
                return i, ""
        number, _ = to_number(value)
        if number is not None:
            return _find_number(number, lookup.numbers)
        return _find_similar(str(value), lookup)
    return None, ""


def _find_similar(value: str, lookup: _Lookup) -> tuple[int | None, str]:
    found = lookup.folded.get(_fold(value), -1)
    if found >= 0:
        return found, "relabelled"
    number, _ = to_number(value)
    return (None, "") if number is None else _find_number(number, lookup.label_numbers)


def _find_number(number: float, numbers: tuple[tuple[float, int], ...]) -> tuple[int | None, str]:
    for known, i in numbers:
        if math.isclose(known, number, rel_tol=1e-9):
            return i, "relabelled"
    return None, ""


def _fold(text: str) -> str:
    return text.strip().strip("\"'").casefold().replace("-", "_").replace(" ", "_")


def to_number(value: Any) -> tuple[int | float | None, str]:
    """Return a finite number and how it was read, or None and why not."""
    if isinstance(value, bool) or value is None:
        return None, "not_a_number"
    repair = ""
    if isinstance(value, str):
        text = value.strip().replace("_", "")
        if not text or len(text) > MAX_DIGITS:
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
