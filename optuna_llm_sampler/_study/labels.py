"""The choices of a categorical distribution by the names that a model may call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import Enum
from functools import lru_cache
import json
import math
import re
from typing import Any

from optuna.distributions import CategoricalDistribution


_PLAIN = (type(None), bool, int, float, str)
_NESTS = (list, tuple, Mapping)
_MAX_DEPTH = 50
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_BRACKETS = str.maketrans("()", "[]", "\"'")
_LAST_COMMA = re.compile(r",+\]")
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
        shapes:
            The same of lists, tuples and the like, whatever brackets they are written in.
        numbers, label_numbers:
            Choices, and labels, that can be read as a number.
    """

    labels: tuple[str, ...]
    index: Mapping[str, int]
    strings: Mapping[str, int]
    folded: Mapping[str, int]
    shapes: Mapping[str, int]
    numbers: tuple[tuple[float, int], ...]
    label_numbers: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class _Choices:
    """Choices that can be looked up by what they are: True is not 1, and lists have no hash."""

    key: tuple[Any, ...]
    choices: tuple[Any, ...] = field(compare=False)


def _lookup(distribution: CategoricalDistribution) -> _Lookup:
    choices = distribution.choices
    key = tuple((type(c), c if isinstance(c, _PLAIN) else repr(c)) for c in choices)
    return _cached_lookup(_Choices(key, tuple(choices)))


# One answer asks for the same few distributions some thousand times.
@lru_cache(maxsize=64)
def _cached_lookup(key: _Choices) -> _Lookup:
    choices = key.choices
    names = _unique_labels(choices)
    strings: dict[str, int] = {}
    folded: dict[str, int] = {}
    shapes: dict[str, int] = {}
    for i, (choice, name) in enumerate(zip(choices, names, strict=True)):
        if isinstance(choice, str):
            strings.setdefault(choice, i)
        folded[_fold(name)] = -1 if _fold(name) in folded else i
        if isinstance(choice, _NESTS):
            shape = _shape(choice)
            first = shapes.setdefault(shape, i)
            if first >= 0 and literal(choices[first]) != literal(choice):
                shapes[shape] = -1
    return _Lookup(
        labels=names,
        index={name: i for i, name in enumerate(names)},
        strings=strings,
        folded=folded,
        shapes=shapes,
        numbers=_numbers_in(choices),
        label_numbers=_numbers_in(names),
    )


def _unique_labels(choices: Sequence[Any]) -> tuple[str, ...]:
    plain = [str.__str__(c) if isinstance(c, str) else literal(c) for c in choices]
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


def is_plain(choice: Any) -> bool:
    """Tell whether Python and JSON have a word for a choice, or for all that is in it."""
    if isinstance(choice, Mapping):
        return all(isinstance(key, str) and is_plain(value) for key, value in choice.items())
    if isinstance(choice, (list, tuple)):
        return all(map(is_plain, choice))
    return isinstance(choice, _PLAIN) and not isinstance(choice, Enum)


def literal(choice: Any) -> str:
    """Write a choice as Python does, functions and classes by their names.

    What is written is the same in every process: an address in memory is left out.
    """
    if isinstance(choice, Enum):
        return f"{type(choice).__name__}.{choice.name}"
    for kind in (bool, int, float, str):  # numpy's numbers are of these types, and say so
        if isinstance(choice, kind):
            return kind.__repr__(choice)
    if type(choice) is tuple:
        items = ", ".join(map(literal, choice))
        return f"({items},)" if len(choice) == 1 else f"({items})"
    if type(choice) is list:
        return f"[{', '.join(map(literal, choice))}]"
    if type(choice) is dict:
        pairs = (f"{literal(key)}: {literal(value)}" for key, value in choice.items())
        return f"{{{', '.join(pairs)}}}"
    name = getattr(choice, "__qualname__", None)
    return name if isinstance(name, str) else _ADDRESS.sub("", str(choice))


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
            index, repair = _find_number(number, lookup.numbers)
            return (index, repair) if index is not None else _find_shape(value, lookup)
        return _find_similar(str(value), lookup)
    return _find_shape(value, lookup)


def _find_similar(value: str, lookup: _Lookup) -> tuple[int | None, str]:
    found = lookup.folded.get(_fold(value), -1)
    if found >= 0:
        return found, "relabelled"
    number, _ = to_number(value)
    index, repair = (None, "") if number is None else _find_number(number, lookup.label_numbers)
    return (index, repair) if index is not None else _find_shape(value, lookup)


def _find_shape(value: Any, lookup: _Lookup) -> tuple[int | None, str]:
    """Find a list or a tuple, in whatever brackets, and one of a single item without any."""
    if not lookup.shapes:
        return None, ""
    shape = _shape(value) if not isinstance(value, str) else _shape_of_text(value)
    for candidate in (shape, f"[{shape}]"):
        index = lookup.shapes.get(candidate, -1)
        if index >= 0:
            return index, ""
    return None, ""


def _shape(value: Any, depth: int = 0) -> str:
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(value, Mapping):
        pairs = sorted(f"{_shape(k, depth + 1)}:{_shape(v, depth + 1)}" for k, v in value.items())
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_shape(item, depth + 1) for item in value)}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _shape_of_text(value if isinstance(value, str) else literal(value))


def _shape_of_text(text: str) -> str:
    shape = "".join(text.casefold().translate(_BRACKETS).split())
    return _LAST_COMMA.sub("]", shape)


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
