"""Look up names and attributes, and what can reach the trial."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
import inspect
from types import FunctionType, ModuleType
from typing import Any

from .path import Path
from .source import loaded_names
from .values import (
    blur,
    Closure,
    Frame,
    lift,
    Mark,
    Method,
    Object,
    OfChoice,
    TRIAL,
    UNBOUND,
    UNKNOWN,
)


# Methods and attributes of a trial that ask for no parameter.
HARMLESS = (
    *("report", "should_prune", "set_user_attr", "set_system_attr", "set_constraint", "number"),
    *("params", "distributions", "user_attrs", "system_attrs", "study", "datetime_start"),
)


class Names:
    """Looks names and attributes up on one path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_tries = 0  # how many ``try`` statements with handlers are around
        self._lifted: dict[int, tuple[Any, Any]] = {}

    def unknown(self) -> Mark:
        """Return :data:`UNKNOWN`, the result of what may have raised an exception."""
        if self.n_tries and not self.path.doubt:
            self.path.doubt = "in a try block, after what may raise"
        return UNKNOWN

    def lift(self, value: Any) -> Any:
        """Return what an object in memory is; the same for the same object."""
        if id(value) not in self._lifted:
            self._lifted[id(value)] = value, lift(value)
        return self._lifted[id(value)][1]

    def look_up(self, name: str, frame: Frame) -> Any:
        """Return the value of a name."""
        if name in frame.rebound:
            return self.unknown()
        for value in _values(name, frame):
            return self.unknown() if value is UNBOUND else value
        if name in frame.source.rebound:
            return self.unknown()
        function = frame.function
        free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        try:
            value = free[name].cell_contents if name in free else function.__globals__[name]
        except KeyError:
            return lift(getattr(builtins, name, UNKNOWN))
        except ValueError:  # not bound yet
            return UNKNOWN
        return self._live(value, name, frame)

    def _live(self, value: Any, name: str, frame: Frame) -> Any:
        """Return a value in memory, if no function changes it."""
        lifted = self.lift(value)
        is_object = isinstance(lifted, (FunctionType, type, ModuleType, Object))
        return UNKNOWN if name in frame.source.changed and not is_object else lifted

    def attribute(self, owner: Any, name: str, frame: Frame) -> Any:
        """Return an attribute, without running a property."""
        if owner is TRIAL or type(owner) in (OfChoice, str, list, dict):
            return Method(owner, name)
        holder = owner.live if isinstance(owner, Object) else owner
        if isinstance(owner, Object) and name in owner.attrs:
            return owner.attrs[name]
        if not isinstance(owner, (Object, type, ModuleType)):
            return self.unknown()
        try:
            found = inspect.getattr_static(holder, name)
        except AttributeError:
            return self.unknown()
        if isinstance(found, staticmethod):
            return found.__func__
        if isinstance(found, classmethod) and isinstance(found.__func__, FunctionType):
            return Method(owner.cls if isinstance(owner, Object) else owner, found.__func__)
        if isinstance(found, FunctionType):
            cls = owner.cls if isinstance(owner, Object) else None
            is_bound = cls is not None and inspect.getattr_static(cls, name, None) is found
            return Method(owner, found) if is_bound else found
        if inspect.getattr_static(type(found), "__get__", None) is not None:
            return self.unknown()  # a property
        return self._live(found, f".{name}", frame)

    # --- the trial --------------------------------------------------------------------------

    def carries(self, value: Any, seen: frozenset[int] = frozenset()) -> bool:
        """Return whether the trial can be reached by a value."""
        if value is TRIAL or id(value) in seen:
            return value is TRIAL
        if isinstance(value, Method) and value.owner is TRIAL:
            return value.function not in HARMLESS
        seen |= {id(value)}
        if isinstance(value, Closure):
            return self.asks([value.node], value.frame, seen)
        return any(self.carries(each, seen) for each in _parts(value))

    def asks(
        self, nodes: Iterable[ast.AST], frame: Frame, seen: frozenset[int] = frozenset()
    ) -> bool:
        """Return whether code may ask the trial for parameters, or pass it on."""
        for node in nodes:
            self.path.step()
            if isinstance(node, ast.Attribute):
                if node.attr.startswith("suggest"):
                    return True
                if isinstance(node.value, ast.Name) and node.attr in HARMLESS:
                    continue
            if isinstance(node, ast.Name):
                if self.carries(next(_values(node.id, frame), None), seen):
                    return True
            elif self.asks(ast.iter_child_nodes(node), frame, seen):
                return True
        return False

    def forget(self, value: Any, seen: frozenset[int] = frozenset()) -> None:
        """Forget what code that is not read may change by a value that it gets."""
        if id(value) in seen:
            return
        seen |= {id(value)}
        parts: list[Any] = list(_parts(value))
        if isinstance(value, Object):
            kept = {name: each for name, each in value.attrs.items() if self.carries(each)}
            value.attrs = dict.fromkeys(value.attrs, UNKNOWN) | kept
            return
        if isinstance(value, Closure):
            parts = [self.look_up(name, value.frame) for name in loaded_names([value.node])]
        blur(value)
        for each in parts:
            self.forget(each, seen)


def _values(name: str, frame: Frame | None) -> Iterator[Any]:
    """Yield the values of a name in the frames, the innermost first."""
    while frame is not None:
        if name in frame.names:
            yield frame.names[name]
        frame = frame.outer


def _parts(value: Any) -> Iterable[Any]:
    """Return the values that can be reached by a value."""
    if type(value) is Object:
        return value.attrs.values()
    if type(value) is Method:
        return (value.owner,)
    if type(value) is dict:
        return value.values()
    return value if type(value) in (list, tuple) else ()


def line(node: ast.AST) -> str:
    """Return where something stands, in words."""
    return f"line {getattr(node, 'lineno', 0)}"
