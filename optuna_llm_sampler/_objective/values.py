"""What is known of a value in an objective that is read and not run.

Numbers, strings, booleans, :obj:`None`, tuples, functions, classes and modules stand for
themselves. Everything else is one of the classes here, or :data:`UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class Unknown:
    """A value of which nothing is known."""


class TrialValue:
    """The trial."""


UNKNOWN = Unknown()
TRIAL = TrialValue()


class ListValue(list[Any]):
    """A list; ``blurred`` once its elements are unknown."""

    blurred = False


class DictValue(dict[Any, Any]):
    """A dictionary; ``blurred`` once its elements are unknown."""

    blurred = False


@dataclass(frozen=True, eq=False)
class OfChoice:
    """A value that depends on one suggested parameter.

    Attributes:
        param:
            The parameter.
        values:
            The value for each of the parameter's values.
    """

    param: str
    values: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class TrialMethod:
    """A method of the trial."""

    name: str


@dataclass(frozen=True, eq=False)
class Method:
    """A function bound to an object, or a method of a container or string by its name."""

    owner: Any
    function: FunctionType | str


@dataclass(eq=False)
class Object:
    """An object with attributes.

    Attributes:
        live:
            The object in memory; :obj:`None` if the objective would create it.
        cls:
            Its class.
        attrs:
            Attributes set while reading.
    """

    live: Any
    cls: type
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Frame:
    """The names of one call.

    Attributes:
        names:
            Values by name.
        own:
            Names that are local, bound or not.
        outer:
            The frame around a nested function.
        function:
            The function in memory whose globals and closure hold other names.
        source:
            The file of the function.
        rebound:
            Local names that nested functions bind, too.
    """

    names: dict[str, Any]
    own: set[str]
    outer: Frame | None
    function: FunctionType
    source: Source
    rebound: frozenset[str]


@dataclass(frozen=True, eq=False)
class Closure:
    """A function or lambda that the objective defines."""

    node: FunctionNode
    frame: Frame
    defaults: dict[str, Any]


class NotPlainError(Exception):
    """A value is not known to be a constant."""


def plain(value: Any) -> Any:
    """Return a constant as Python's own objects.

    Raises:
        NotPlainError: It is none, or not known.
    """
    if type(value) in (*CONSTANTS, range, frozenset):
        return value
    if isinstance(value, ListValue) and not value.blurred:
        return [plain(each) for each in value]
    if type(value) is tuple:
        return tuple(plain(each) for each in value)
    if isinstance(value, DictValue) and not value.blurred:
        return {key: plain(each) for key, each in value.items()}
    raise NotPlainError


def wrap(value: Any) -> Any:
    """Return Python's own objects as values; too large or foreign ones are unknown."""
    if type(value) in CONSTANTS or issubclass(type(value), _CALLABLE):
        return value
    if type(value) not in (list, tuple, dict, range, set, frozenset) or len(value) > MAX_ITEMS:
        return UNKNOWN
    if type(value) is list:
        return ListValue(wrap(each) for each in value)
    if type(value) is tuple:
        return tuple(wrap(each) for each in value)
    if type(value) is dict and all(type(key) in (*CONSTANTS, tuple) for key in value):
        return DictValue({key: wrap(each) for key, each in value.items()})
    if type(value) is range:
        return value
    if type(value) in (set, frozenset) and all(type(each) in CONSTANTS for each in value):
        return frozenset(value)
    return UNKNOWN


def lift(value: Any) -> Any:
    """Return what an object in memory is while reading."""
    if type(value) in (*CONSTANTS, list, tuple, dict, set, frozenset, range):
        return wrap(value)
    if issubclass(type(value), _CALLABLE):  # isinstance() can run code of the object
        return value
    if type(value) is MethodType and isinstance(value.__func__, FunctionType):
        return Method(lift(value.__self__), value.__func__)
    if inspect.getattr_static(type(value), "__getattribute__") not in _GETATTRIBUTE:
        return UNKNOWN
    return Object(value, type(value))


def items_of(value: Any) -> Sequence[Any] | None:
    """Return the elements of an iterable in order, :obj:`None` if they are not known."""
    if isinstance(value, (ListValue, DictValue)):
        return None if value.blurred else list(value)
    if type(value) in (tuple, range, str) and len(value) <= MAX_ITEMS:
        return list(value)
    return None  # the order of a set is not known


def blur(value: Any) -> None:
    """Forget the elements of a container, and of those in it."""
    if isinstance(value, (ListValue, DictValue)):
        if value.blurred:
            return
        value.blurred = True
        for each in value.values() if isinstance(value, DictValue) else value:
            blur(each)
    elif type(value) is tuple:
        for each in value:
            blur(each)


def is_same(one: Any, other: Any) -> bool:
    """Return whether two constants are equal and of the same type, in all of their parts."""
    return type(one) is type(other) and repr(one) == repr(other)
