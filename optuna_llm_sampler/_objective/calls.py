"""Follow the calls of an objective: suggestions, functions that get the trial, containers."""

from __future__ import annotations

from abc import ABCMeta
import ast
from functools import partial
import inspect
from types import BuiltinFunctionType, FunctionType
from typing import Any

from .assignments import Assignments
from .expressions import is_blurred, is_key
from .names import line
from .operators import CONSUMERS, format_new, is_one_of, OF_ITEMS, PURE, text_method, TEXT_METHODS
from .path import HARMLESS, SUGGESTIONS
from .source import loaded_names
from .values import (
    blur,
    Closure,
    DictValue,
    Frame,
    items_of,
    ListValue,
    Method,
    Object,
    OfChoice,
    TrialMethod,
    UNKNOWN,
    Unknown,
)


class Calls(Assignments):
    """Evaluates calls."""

    def call_function(
        self, function: FunctionType | Closure, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Follow a call."""
        raise NotImplementedError

    def _Call(self, node: ast.Call, frame: Frame) -> Any:
        function = self.path.now(self.evaluate(node.func, frame))
        name = function.function if isinstance(function, Method) else ""
        consumes = is_one_of(function, CONSUMERS) or name in ("join", "update", "extend")
        args: list[Any] | None = []
        for each in node.args:
            if consumes and isinstance(each, ast.GeneratorExp):
                value = self._ListComp(each, frame)  # type: ignore[arg-type]
            else:
                value = self.evaluate(each.value if isinstance(each, ast.Starred) else each, frame)
            more = items_of(self.path.settle(value)) if isinstance(each, ast.Starred) else [value]
            args = None if args is None or more is None else [*args, *more]
        kwargs = DictValue()
        for keyword in node.keywords:
            value = self.evaluate(keyword.value, frame)
            if keyword.arg is None:
                self.update(kwargs, value)
            else:
                kwargs[keyword.arg] = value
        if args is None or kwargs.blurred:
            return self._call_blindly(node, function, frame)
        if isinstance(function, Unknown) and ast.unparse(node.func).split(".")[-1] in SUGGESTIONS:
            self.path.open(f"what {ast.unparse(node.func)} asks for ({line(node)})")
        found = self.call(function, args, kwargs, node)
        return self.unknown() if isinstance(found, Unknown) else found

    def _call_blindly(self, node: ast.Call, function: Any, frame: Frame) -> Unknown:
        """Call with arguments that are not known."""
        if isinstance(function, TrialMethod) and function.name in SUGGESTIONS:
            self._ask_blindly(node, frame)
        elif self.carries(function) or self.carries_into([*node.args, *node.keywords], frame):
            self.path.open(self._passed_to(node))
        for name in loaded_names([node]):
            self.forget(self.look_up(name, frame))
        return self.unknown()

    def _ask_blindly(self, node: ast.Call, frame: Frame) -> None:
        first = node.args[0] if node.args else None
        name = None if first is None else self.path.settle(self.evaluate(first, frame))
        if isinstance(name, str) and not isinstance(first, ast.Starred):
            self.path.suggest("suggest_float", [name, UNKNOWN, UNKNOWN], {}, line(node))
        else:
            self.path.open(f"a parameter whose name is not constant ({line(node)})")

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.Call) -> Any:
        """Return the result of a call as far as it is certain."""
        if isinstance(function, TrialMethod):
            if function.name in SUGGESTIONS:
                return self.path.suggest(function.name, args, kwargs, line(node))
            if function.name not in HARMLESS:
                self.path.open(f"what trial.{function.name} asks for ({line(node)})")
            return UNKNOWN
        if isinstance(function, partial):
            bound = [self.lift(each) for each in function.args]
            named = {key: self.lift(value) for key, value in function.keywords.items()}
            return self.call(self.lift(function.func), [*bound, *args], named | kwargs, node)
        if isinstance(function, Method):
            if isinstance(function.function, str):
                return self._call_method(function.owner, function.function, args, kwargs)
            args, function = [function.owner, *args], function.function
        if isinstance(function, Closure):
            return self.call_function(function, args, kwargs)
        if isinstance(function, (FunctionType, type, Object)) and any(
            self.carries(each) for each in (*args, *kwargs.values())
        ):
            return self._pass_trial(function, args, kwargs, node)
        if isinstance(function, (type, BuiltinFunctionType)):
            found = self._call_builtin(function, args, kwargs)
            if not isinstance(found, Unknown):
                return found
        return self._escape(function, args, kwargs, node)

    def _pass_trial(
        self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.Call
    ) -> Any:
        """Follow the trial into a function or an object of a class in memory."""
        if isinstance(function, FunctionType):
            return self.call_function(function, args, kwargs)
        if isinstance(function, Object):
            call = inspect.getattr_static(function.cls, "__call__", None)
            if isinstance(call, FunctionType):
                return self.call_function(call, [function, *args], kwargs)
            return self._escape(function, args, kwargs, node)
        init = inspect.getattr_static(function, "__init__", None)
        is_usual = type(function) in (type, ABCMeta) and function.__new__ is object.__new__
        if not isinstance(init, FunctionType) or not is_usual or self._is_harmless(node):
            return self._escape(function, args, kwargs, node)
        created = Object(None, function)
        self.call_function(init, [created, *args], kwargs)
        return created

    def _escape(
        self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.Call
    ) -> Unknown:
        """Call what is not read: it can change containers and use the trial."""
        values = [function, *args, *kwargs.values()]
        if any(self.carries(each) for each in values) and not self._is_harmless(node):
            self.path.open(self._passed_to(node))
        for each in values:
            self.forget(each)
        return UNKNOWN

    def forget(self, value: Any, seen: frozenset[int] = frozenset()) -> None:
        """Forget what code that is not read may change by a value that it gets."""
        if id(value) in seen:
            return
        seen = seen | {id(value)}
        if type(value) in (tuple, ListValue, DictValue) and not is_blurred(value):
            parts = list(value.values() if isinstance(value, DictValue) else value)
            blur(value)
            for each in parts:
                self.forget(each, seen)
        elif isinstance(value, Method):
            self.forget(value.owner, seen)
        elif isinstance(value, Object):
            kept = {name: each for name, each in value.attrs.items() if self.carries(each)}
            value.attrs = {**dict.fromkeys(value.attrs, UNKNOWN), **kept}
        elif isinstance(value, Closure):
            for name in loaded_names([value.node]):
                self.forget(self.look_up(name, value.frame), seen)

    def _is_harmless(self, node: ast.Call) -> bool:
        name = ast.unparse(node.func).rpartition(".")[2]
        shown = ("print", "str", "repr", "id", "type", "isinstance", "debug", "info", "warning")
        return "Callback" in name or name in shown

    def _passed_to(self, node: ast.Call) -> str:
        return f"what {ast.unparse(node.func)[:60]} does with the trial ({line(node)})"

    def _call_builtin(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if is_one_of(function, PURE):
            return UNKNOWN if kwargs else self.path.apply(function, *args)
        if function is dict:
            found = DictValue()
            for each in args:
                self.update(found, each)
            found.update(kwargs)
            return found
        if function is enumerate and kwargs.keys() == {"start"}:
            args = [*args, kwargs.pop("start")]
        if function is enumerate and len(args) == 2:
            start, items = self.path.now(args[1]), items_of(self.path.settle(args[0]))
            is_known = type(start) is int and items is not None
            return ListValue(enumerate(items or (), start)) if is_known else UNKNOWN
        lists = [items_of(self.path.settle(each)) for each in args]
        if is_one_of(function, OF_ITEMS) and not any(each is None for each in lists):
            return UNKNOWN if kwargs else OF_ITEMS[function](*lists)
        return UNKNOWN

    def _call_method(self, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a method of a container or of a string."""
        if isinstance(owner, (OfChoice, str)):
            if name == "format" and not kwargs:
                return self.path.apply(format_new, owner, *args)
            if name in TEXT_METHODS and not kwargs:
                return self.path.apply(partial(text_method, name), owner, *args)
            return UNKNOWN
        if not is_blurred(owner) and not (kwargs and name != "update"):
            found = self._container_method(owner, name, args, kwargs)
            if found is not NotImplemented:
                return found
        for each in (owner, *args):
            blur(each)
        if any(self.carries(each) for each in args):
            self.path.open("a container that holds the trial")
        return UNKNOWN

    def _container_method(self, owner: Any, name: str, args: list[Any], kwargs: Any) -> Any:
        if name == "copy":
            return type(owner)(owner)
        if isinstance(owner, ListValue):
            if name == "append" and len(args) == 1:
                owner.append(args[0])
                return None
            if name == "extend" and (items := items_of(self.path.settle(args[0]))) is not None:
                owner.extend(items)
                return None
            return NotImplemented
        if name in ("items", "keys", "values") and not args:
            return ListValue(getattr(owner, name)())
        if name == "update":
            for each in args:
                self.update(owner, each)
            owner.update(kwargs)
            return None
        if name == "get" and args:
            key = self.path.settle(args[0])
            if is_key(key):
                return owner.get(key, args[1] if len(args) > 1 else None)
        return NotImplemented
