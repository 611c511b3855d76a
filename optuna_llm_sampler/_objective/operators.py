"""Python's operators and functions of constants, none of which can take long."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
import math
import operator
import re
from typing import Any

from .values import ListValue, MAX_ITEMS, NotPlainError, UNKNOWN, wrap


_MAX_DIGITS = 400


def compute(function: Callable[..., Any], *args: Any) -> Any:
    """Return a function of constants, :obj:`UNKNOWN` if it fails or is large."""
    if any(isinstance(each, (int, float)) and abs(each) > 1e100 for each in args):
        return UNKNOWN
    try:
        result = wrap(function(*args))
    except Exception:
        return UNKNOWN
    return UNKNOWN if isinstance(result, str) and len(result) > MAX_ITEMS else result


def power(base: Any, exponent: Any) -> Any:
    """Raise a number to a power that is not huge."""
    if abs(exponent) * math.log10(abs(base) + 1) > _MAX_DIGITS:
        raise OverflowError
    return base**exponent


def times(one: Any, other: Any) -> Any:
    """Multiply numbers, or repeat a short sequence."""
    for sequence, count in ((one, other), (other, one)):
        if isinstance(sequence, (str, list, tuple)) and count * len(sequence) > MAX_ITEMS:
            raise OverflowError
    return one * other


def shift(one: int, other: int) -> int:
    """Shift to the left by a number that is not huge."""
    if other > _MAX_DIGITS:
        raise OverflowError
    return one << other


def take_slice(values: Any, *ends: Any) -> Any:
    return values[slice(*ends)]


def text_method(name: str, text: str, *args: Any) -> Any:
    return getattr(str, name)(text, *args)


def is_one_of(value: Any, group: Iterable[Any]) -> bool:
    """Compare by identity: classes may define how they are compared."""
    return any(value is each for each in group)


def fail(*_: Any) -> Any:
    raise NotPlainError


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: lambda one, other: _format_old(one, other),
    ast.Pow: power,
    ast.LShift: shift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: lambda one, other: _is(one, other),
    ast.IsNot: lambda one, other: not _is(one, other),
}
# Functions of constants.
PURE: tuple[Any, ...] = (
    *(len, range, int, float, str, bool, abs, min, max, round, sum, sorted, repr),
    *(math.log, math.log2, math.log10, math.sqrt, math.exp, math.floor, math.ceil),
)
OF_ITEMS: dict[Any, Callable[..., Any]] = {
    list: lambda items=(): ListValue(items),
    tuple: lambda items=(): tuple(items),
    reversed: lambda items: ListValue(items[::-1]),
    enumerate: lambda items: ListValue(enumerate(items)),
    zip: lambda *lists: ListValue(zip(*lists, strict=False)),
}
# They consume a generator to its end.
CONSUMERS = (*OF_ITEMS, sum, min, max, sorted, dict)
TEXT_METHODS = ("lower", "upper", "strip", "startswith", "endswith", "replace", "split", "join")
_SPEC = re.compile(r"[<>=^]?[+\- ]?0?,?\d{0,2}(\.\d{1,2})?[a-zA-Z%]?")
_OLD_SPEC = re.compile(r"([^%]|%%|%0?\d{0,2}(\.\d{1,2})?[a-zA-Z])*")
_NEW_SPEC = re.compile(r"([^{}]|\{\w*(:0?\d{0,2}(\.\d{1,2})?[a-zA-Z]?)?\})*")


def _format_old(one: Any, other: Any) -> Any:
    if isinstance(one, str) and not _OLD_SPEC.fullmatch(one):
        raise ValueError
    return one % other


def format_new(text: str, *args: Any) -> str:
    if not _NEW_SPEC.fullmatch(text):
        raise ValueError
    return text.format(*args)


def format_spec_of(value: Any, spec: str) -> str:
    if not _SPEC.fullmatch(spec):
        raise ValueError
    return format(value, spec)


def _is(one: Any, other: Any) -> bool:
    if not any(each is None or isinstance(each, bool) for each in (one, other)):
        raise ValueError  # whether two constants are one object is not said in the source
    return one is other
