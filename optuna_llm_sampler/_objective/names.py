"""Look up names and attributes, and what can reach the trial."""

from __future__ import annotations

import ast
import builtins
import inspect
from types import FunctionType, ModuleType
from typing import Any

from .path import HARMLESS, Path
from .values import (
    Closure,
    DictValue,
    Frame,
    lift,
    ListValue,
    Method,
    Object,
    OfChoice,
    TRIAL,
    TrialMethod,
    TrialValue,
    UNKNOWN,
    Unknown,
)


class GiveUpError(Exception):
    """What follows on this path cannot be read."""


class Names:
    """Looks names and attributes up on one path.

    Args:
        path:
            The path.

    Attributes:
        path:
            The path.
        n_tries:
            How many ``try`` statements with handlers are around the present statement.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_tries = 0
        self._lifted: dict[int, tuple[Any, Any]] = {}

    def unknown(self) -> Unknown:
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
        inner: Frame | None = frame
        while inner is not None:
            if name in inner.rebound:
                return self.unknown()
            if name in inner.names:
                return inner.names[name]
            if name in inner.own:
                return self.unknown()
            inner = inner.outer
        if name in frame.source.rebound:
            return self.unknown()
        function = frame.function
        free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        try:
            if name in free:
                value = free[name].cell_contents
            else:
                value = function.__globals__.get(name, getattr(builtins, name, UNKNOWN))
        except ValueError:  # not bound yet
            return UNKNOWN
        changed = frame.source.changed_names if name in free else frame.source.changed_globals
        return self._lift_unless(name in changed, value)

    def _lift_unless(self, is_changed: bool, value: Any) -> Any:
        lifted = self.lift(value)
        is_object = isinstance(lifted, (FunctionType, type, ModuleType, Object))
        return UNKNOWN if is_changed and not is_object else lifted

    def attribute(self, owner: Any, name: str, frame: Frame) -> Any:
        """Return an attribute, without running a property."""
        if owner is TRIAL:
            return TrialMethod(name)
        if isinstance(owner, TrialMethod):
            return UNKNOWN
        if isinstance(owner, OfChoice) or type(owner) in (str, ListValue, DictValue):
            return Method(owner, name)
        if isinstance(owner, Object):
            if name in owner.attrs:
                return owner.attrs[name]
            return self._static(
                owner, owner.cls if owner.live is None else owner.live, frame, name
            )
        if isinstance(owner, (type, ModuleType)):
            return self._static(None, owner, frame, name)
        return self.unknown()

    def _static(self, bound_to: Object | None, holder: Any, frame: Frame, name: str) -> Any:
        try:
            found = inspect.getattr_static(holder, name)
        except AttributeError:
            return self.unknown()
        if isinstance(found, staticmethod):
            return found.__func__
        if isinstance(found, classmethod) and isinstance(found.__func__, FunctionType):
            owner = holder if isinstance(holder, type) else type(holder)
            return Method(owner, found.__func__)
        if isinstance(found, FunctionType):
            is_bound = bound_to is not None and name not in _own_attributes(bound_to)
            return Method(bound_to, found) if is_bound else found
        if inspect.getattr_static(type(found), "__get__", None) is not None:
            return self.unknown()  # a property
        return self._lift_unless(name in frame.source.changed_attributes, found)

    # --- the trial --------------------------------------------------------------------------

    def carries(self, value: Any, seen: frozenset[int] = frozenset()) -> bool:
        """Return whether the trial can be reached by a value."""
        if isinstance(value, (TrialValue, TrialMethod)):
            return not isinstance(value, TrialMethod) or value.name not in HARMLESS
        if id(value) in seen:
            return False
        seen = seen | {id(value)}
        if isinstance(value, Object):
            return any(self.carries(each, seen) for each in value.attrs.values())
        if isinstance(value, Method):
            return self.carries(value.owner, seen)
        if isinstance(value, Closure):
            return self.carries_into([value.node], value.frame, seen)
        if type(value) in (ListValue, tuple):
            return any(self.carries(each, seen) for each in value)
        if type(value) is DictValue:
            return any(self.carries(each, seen) for each in value.values())
        return False

    def carries_into(
        self, nodes: list[Any], frame: Frame, seen: frozenset[int] = frozenset()
    ) -> bool:
        """Return whether code may ask the trial for parameters, or pass it on."""
        for node in nodes:
            self.path.script.step()
            if isinstance(node, ast.Attribute):
                if node.attr.startswith("suggest"):
                    return True
                if isinstance(node.value, ast.Name) and node.attr in HARMLESS:
                    continue
            if isinstance(node, ast.Name):
                for name in _frames(frame, node.id):
                    if self.carries(name, seen):
                        return True
            elif self.carries_into(list(ast.iter_child_nodes(node)), frame, seen):
                return True
        return False


def _own_attributes(owner: Object) -> dict[str, Any]:
    try:
        return dict(object.__getattribute__(owner.live, "__dict__"))
    except AttributeError:
        return {}


def _frames(frame: Frame | None, name: str) -> list[Any]:
    while frame is not None:
        if name in frame.names:
            return [frame.names[name]]
        frame = frame.outer
    return []


def line(node: ast.AST) -> str:
    """Return where something stands, in words."""
    return f"line {getattr(node, 'lineno', 0)}"
