"""Python's operators and functions of constants, none of which can take long."""

from __future__ import annotations

import ast
from collections.abc import Callable
import math
import operator
import re
from typing import Any

from .values import lift, MAX_ITEMS, plain, UNKNOWN


_MAX_DIGITS = 400


def compute(function: Callable[..., Any], *values: Any) -> Any:
    """Return a function of constants; unknown if one is none, if it fails, or if it is large."""
    try:
        args = [plain(each) for each in values]
        if any(isinstance(each, (int, float)) and abs(each) > 1e100 for each in args):
            return UNKNOWN
        result = lift(function(*args))
    except Exception:
        return UNKNOWN
    return UNKNOWN if isinstance(result, str) and len(result) > MAX_ITEMS else result


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) * math.log10(abs(base) + 1) > _MAX_DIGITS:
        raise OverflowError
    return base**exponent


def _times(one: Any, other: Any) -> Any:
    for sequence, count in ((one, other), (other, one)):
        if isinstance(sequence, (str, list, tuple)) and count * len(sequence) > MAX_ITEMS:
            raise OverflowError
    return one * other


def _shift(one: int, other: int) -> int:
    if other > _MAX_DIGITS:
        raise OverflowError
    return one << other


def _is(one: Any, other: Any) -> bool:
    if not any(each is None or isinstance(each, bool) for each in (one, other)):
        raise ValueError  # whether two constants are one object is not said in the source
    return one is other


def _modulo(one: Any, other: Any) -> Any:
    if isinstance(one, str) and not _OLD_SPEC.fullmatch(one):
        raise ValueError
    return one % other


def format_value(value: Any, spec: str) -> str:
    """Format a value, if that makes no long text."""
    if not _SPEC.fullmatch(spec):
        raise ValueError
    return format(value, spec)


def format_text(text: str, *args: Any) -> str:
    """Do what ``str.format`` does, if that makes no long text."""
    if not _NEW_SPEC.fullmatch(text):
        raise ValueError
    return text.format(*args)


_SPEC = re.compile(r"[<>=^]?[+\- ]?0?,?\d{0,2}(\.\d{1,2})?[a-zA-Z%]?")
_OLD_SPEC = re.compile(r"([^%]|%%|%0?\d{0,2}(\.\d{1,2})?[a-zA-Z])*")
_NEW_SPEC = re.compile(r"([^{}]|\{\w*(:0?\d{0,2}(\.\d{1,2})?[a-zA-Z]?)?\})*")

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _modulo,
    ast.Pow: _power,
    ast.LShift: _shift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: _is,
    ast.IsNot: lambda one, other: not _is(one, other),
}
# Functions of constants.
PURE: tuple[Any, ...] = (
    *(len, range, int, float, str, bool, abs, min, max, round, sum, sorted, repr),
    *(math.log, math.log2, math.log10, math.sqrt, math.exp, math.floor, math.ceil),
)
# Functions of any elements.
OF_ITEMS: dict[Any, Callable[..., Any]] = {
    list: lambda items=(): list(items),
    tuple: lambda items=(): tuple(items),
    reversed: lambda items: list(items[::-1]),
    zip: lambda *lists: list(zip(*lists, strict=False)),
}
TEXT_METHODS = ("lower", "upper", "strip", "startswith", "endswith", "replace", "split", "join")
