"""Unique labels for the choices of a categorical distribution, and the way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
# Longer numbers are refused: int("9" * 10**6) takes seconds.
MAX_DIGITS = 40


def labels(distribution: CategoricalDistribution) -> tuple[str, ...]:
    """Return one text per choice, unique among the choices.

    The model reads and writes labels, because ``True == 1`` in Python and because JSON has no form
    for most Python values. A string is its own label, in quotes if another choice reads the same.
    """
    return _lookup(distribution).labels


@dataclass(frozen=True)
class _Lookup:
    """Indices of a distribution's choices by all that a model may call them."""

    labels: tuple[str, ...]  # label of each choice
    exact: Mapping[str, tuple[int, str]]  # index and repair by label and by string
    # Index by label in lower case without quotes, where only one reads so.
    folded: Mapping[str, int]
    # Index of nested choices by their text with any brackets and quotes, -1 for several.
    shapes: Mapping[str, int]
    # Choices, and labels, that read as a number, each with its index.
    numbers: tuple[tuple[float, int], ...]
    label_numbers: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class _Choices:
    """Cache key: ``True`` differs from 1, and lists have a hash."""

    key: tuple[Any, ...]
    choices: tuple[Any, ...] = field(compare=False)


def _lookup(distribution: CategoricalDistribution) -> _Lookup:
    choices = distribution.choices
    key = tuple((type(c), c if isinstance(c, _PLAIN) else repr(c)) for c in choices)
    return _cached_lookup(_Choices(key, tuple(choices)))


# Parsing one answer looks up the same few distributions thousands of times.
@lru_cache(maxsize=64)
def _cached_lookup(key: _Choices) -> _Lookup:
    choices = key.choices
    names = _unique_labels(choices)
    strings = [(choice, i) for i, choice in enumerate(choices) if isinstance(choice, str)]
    folded = [_fold(name) for name in names]
    count = Counter(folded)
    shapes: dict[str, int] = {}
    for i, choice in enumerate(choices):
        if isinstance(choice, _NESTS):
            shape = _shape(choice)
            first = shapes.setdefault(shape, i)
            if first >= 0 and literal(choices[first]) != literal(choice):
                shapes[shape] = -1
    return _Lookup(
        labels=names,
        exact={
            **{choice: (i, "relabelled") for choice, i in reversed(strings)},
            **{name: (i, "") for i, name in enumerate(names)},
        },
        folded={name: i for i, name in enumerate(folded) if count[name] == 1},
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
        while unique in used:  # equal choices, e.g. ("a", "a"): only the first is ever used
            used[label] += 1
            unique = f"{label}'{used[label]}"
        used[unique] = 1
    return tuple(used)


def _numbers_in(values: Sequence[Any]) -> tuple[tuple[float, int], ...]:
    numbers = ((to_number(value)[0], i) for i, value in enumerate(values))
    return tuple((float(number), i) for number, i in numbers if number is not None)


def is_plain(choice: Any) -> bool:
    """Tell whether a choice and all of its items can be written in Python and in JSON."""
    if isinstance(choice, Mapping):
        return all(isinstance(key, str) and is_plain(value) for key, value in choice.items())
    if isinstance(choice, (list, tuple)):
        return all(map(is_plain, choice))
    return isinstance(choice, _PLAIN) and not isinstance(choice, Enum)


def literal(choice: Any) -> str:
    """Write a choice as Python does, functions and classes by name, without memory addresses."""
    if isinstance(choice, Enum):
        return f"{type(choice).__name__}.{choice.name}"
    for kind in (bool, int, float, str):  # subclasses, such as numpy's, have another repr
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
    """Return the index of the choice that a value means, and the repair that was needed.

    Returns:
        The index, or :obj:`None` when there is no such choice, and a short word or ``""``.
    """
    lookup = _lookup(distribution)
    if isinstance(value, str):
        return lookup.exact.get(value) or _find_similar(value, lookup)
    if value is None or isinstance(value, (bool, int, float)):
        for i, choice in enumerate(distribution.choices):
            if type(choice) is type(value) and choice == value:
                return i, ""
        number, _ = to_number(value)
        if number is None:
            return _find_similar(str(value), lookup)
        index, repair = _find_number(number, lookup.numbers)
        if index is not None:
            return index, repair
    return _find_shape(value, lookup)


def _find_similar(value: str, lookup: _Lookup) -> tuple[int | None, str]:
    if (found := lookup.folded.get(_fold(value))) is not None:
        return found, "relabelled"
    number, _ = to_number(value)
    if number is not None:
        index, repair = _find_number(number, lookup.label_numbers)
        if index is not None:
            return index, repair
    return _find_shape(value, lookup)


def _find_shape(value: Any, lookup: _Lookup) -> tuple[int | None, str]:
    """Find a list or tuple written with any brackets, or without them if it has one item."""
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
    """Read a finite number.

    Returns:
        The number and ``""`` or ``"text"``; or :obj:`None` and the reason, as a short word.
    """
    if isinstance(value, bool) or value is None:
        return None, "not_a_number"
    repair = ""
    if isinstance(value, str):
        value = _number_in(value.strip().replace("_", ""))
        repair = "text"
    if not isinstance(value, (int, float)):
        return None, "not_a_number"
    return (value, repair) if is_finite(value) else (None, "not_finite")


def is_finite(value: int | float) -> bool:
    """Tell whether a number is finite as a float; large integers are not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _number_in(text: str) -> int | float | None:
    for kind in (int, float) if len(text) <= MAX_DIGITS else ():
        try:
            return kind(text)
        except ValueError:
            continue
    return None
