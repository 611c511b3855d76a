"""What is known of a value in an objective that is read and not run.

Numbers, strings, booleans, :obj:`None`, tuples, lists, dictionaries, functions, classes and
modules stand for themselves. Everything else is one of the classes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
import inspect
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

from .source import FunctionNode, Source


_GETATTRIBUTE = [
    inspect.getattr_static(each, "__getattribute__") for each in (object, SimpleNamespace)
]
CONSTANTS = (type(None), bool, int, float, str)
_CALLABLE = (FunctionType, BuiltinFunctionType, ModuleType, type, partial)
# Larger constants are no part of a search space.
MAX_ITEMS = 1_000


class Mark:
    """A value of which only its identity matters."""


# A value of which nothing is known.
UNKNOWN = Mark()
# The value of a local name before it is bound.
UNBOUND = Mark()
# The trial.
TRIAL = Mark()
# An element of each list and a key of each dictionary whose other elements may have changed.
BLUR = Mark()


@dataclass(frozen=True, eq=False)
class OfChoice:
    """A value that depends on one suggested parameter."""

    param: str
    values: dict[int, Any]  # by the index of the parameter's value


@dataclass(frozen=True, eq=False)
class Method:
    """A function bound to an object, or by its name a method of the trial or of a constant."""

    owner: Any
    function: FunctionType | str


@dataclass(eq=False)
class Object:
    """An object with attributes."""

    live: Any  # the object in memory; its class if the objective would create it
    cls: type
    attrs: dict[str, Any] = field(default_factory=dict)  # set while reading


@dataclass(eq=False)
class Frame:
    """The names of one call."""

    names: dict[str, Any]
    outer: Frame | None  # around a nested function or a comprehension
    function: FunctionType  # in memory; its globals and closure hold other names
    source: Source
    rebound: frozenset[str] = frozenset()  # local names that nested functions bind, too
    is_comprehension: bool = False


@dataclass(frozen=True, eq=False)
class Closure:
    """A function or lambda that the objective defines."""

    node: FunctionNode
    frame: Frame
    defaults: dict[str, Any]


class NotPlainError(Exception):
    """A value is not known to be a constant."""


def plain(value: Any) -> Any:
    """Return a copy of a constant.

    Raises:
        NotPlainError: It is none, or not known.
    """
    if type(value) in (*CONSTANTS, range, frozenset):
        return value
    if type(value) in (list, tuple):
        return type(value)(plain(each) for each in value)
    if type(value) is dict:
        return {plain(key): plain(each) for key, each in value.items()}
    raise NotPlainError


def is_plain(value: Any) -> bool:
    try:
        plain(value)
    except NotPlainError:
        return False
    return True


def lift(value: Any) -> Any:
    """Return what an object in memory is while reading; large containers are unknown."""
    kind = type(value)
    if kind in (list, tuple, dict, range, set, frozenset):
        if len(value) > MAX_ITEMS:
            return UNKNOWN
        if kind in (list, tuple):
            return kind(lift(each) for each in value)
        if kind is dict and all(is_plain(key) for key in value):
            return {key: lift(each) for key, each in value.items()}
        if kind in (set, frozenset) and all(type(each) in CONSTANTS for each in value):
            return frozenset(value)
        return value if kind is range else UNKNOWN
    if kind in (*CONSTANTS, Mark) or issubclass(kind, _CALLABLE):  # isinstance() can run code
        return value
    if kind is MethodType and isinstance(value.__func__, FunctionType):
        return Method(lift(value.__self__), value.__func__)
    if inspect.getattr_static(kind, "__getattribute__") not in _GETATTRIBUTE:
        return UNKNOWN
    return Object(value, kind)


def is_one_of(value: Any, group: Iterable[Any]) -> bool:
    """Compare by identity: classes may define how they are compared."""
    return any(value is each for each in group)


def is_blurred(value: Any) -> bool:
    return type(value) in (list, dict) and is_one_of(BLUR, value)


def blur(value: Any) -> None:
    """Forget the elements of a container, and of those in it."""
    if type(value) not in (list, dict, tuple) or is_blurred(value):
        return
    parts = list(value.values() if type(value) is dict else value)
    if type(value) is list:
        value.append(BLUR)
    elif type(value) is dict:
        value[BLUR] = BLUR
    for each in parts:
        blur(each)


def items_of(value: Any) -> Sequence[Any] | None:
    """Return the elements of an iterable in order, :obj:`None` if they are not known."""
    if type(value) not in (list, dict, tuple, range, str) or is_blurred(value):
        return None  # the order of a set is not known
    return list(value) if len(value) <= MAX_ITEMS else None
