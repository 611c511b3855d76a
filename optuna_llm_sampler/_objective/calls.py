"""Follow the calls of an objective: suggestions, functions that get the trial, containers."""

from __future__ import annotations

from abc import ABCMeta
import ast
from functools import partial
import inspect
from types import BuiltinFunctionType, FunctionType
from typing import Any

from .expressions import Expressions
from .names import HARMLESS, line
from .operators import format_text, OF_ITEMS, PURE, TEXT_METHODS
from .path import SUGGESTIONS
from .source import loaded_names
from .values import (
    blur,
    Closure,
    Frame,
    is_blurred,
    is_one_of,
    is_plain,
    items_of,
    Method,
    Object,
    OfChoice,
    TRIAL,
    UNKNOWN,
)


# They consume a generator to its end.
_CONSUMERS = (*OF_ITEMS, enumerate, sum, min, max, sorted, dict)
_CONSUMING_METHODS = ("join", "update", "extend")
# Functions that do nothing with a trial but show it.
_SHOWN = ("print", "str", "repr", "id", "type", "isinstance", "debug", "info", "warning")


class Calls(Expressions):
    """Evaluates calls."""

    def call_function(
        self, function: FunctionType | Closure, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Follow a call."""
        raise NotImplementedError

    def _Call(self, node: ast.Call, frame: Frame) -> Any:
        function = self.path.now(self.evaluate(node.func, frame))
        name = function.function if isinstance(function, Method) else ""
        nodes = node.args
        if is_one_of(function, _CONSUMERS) or name in _CONSUMING_METHODS:
            nodes = [
                ast.ListComp(each.elt, each.generators, lineno=each.lineno)
                if isinstance(each, ast.GeneratorExp)
                else each
                for each in nodes
            ]
        args = self.items(nodes, frame)
        keys = [None if each.arg is None else ast.Constant(each.arg) for each in node.keywords]
        values = [each.value for each in node.keywords]
        kwargs = self.entries(zip(keys, values, strict=True), frame)
        is_suggestion = ast.unparse(node.func).split(".")[-1] in SUGGESTIONS
        if function is UNKNOWN and is_suggestion:
            self.path.open(f"what {ast.unparse(node.func)} asks for ({line(node)})")
        if args is not None and not is_blurred(kwargs):
            return self.result(self.call(function, args, kwargs, node))
        if isinstance(function, Method) and function.owner is TRIAL:
            return self.result(self.call(function, [UNKNOWN], {}, node))
        reached = [self.look_up(each, frame) for each in sorted(loaded_names([node]))]
        return self.result(self._escape([function, *reached], node))

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.Call) -> Any:
        """Return the result of a call as far as it is certain."""
        if isinstance(function, partial):
            bound = [self.lift(each) for each in function.args]
            named = {key: self.lift(value) for key, value in function.keywords.items()}
            return self.call(self.lift(function.func), [*bound, *args], named | kwargs, node)
        if isinstance(function, Method):
            owner, function = function.owner, function.function
            if owner is TRIAL:
                return self._ask(function, args, kwargs, node)
            if isinstance(function, str):
                return self._call_method(owner, function, args, kwargs)
            args = [owner, *args]
        if isinstance(function, Closure):
            return self.call_function(function, args, kwargs)
        gets_trial = any(self.carries(each) for each in (*args, *kwargs.values()))
        if gets_trial and isinstance(function, FunctionType):
            return self.call_function(function, args, kwargs)
        if gets_trial and isinstance(function, Object):
            call = inspect.getattr_static(function.cls, "__call__", None)
            if isinstance(call, FunctionType):
                return self.call_function(call, [function, *args], kwargs)
        if gets_trial and type(function) in (type, ABCMeta) and not self._is_harmless(node):
            init = inspect.getattr_static(function, "__init__", None)
            if isinstance(init, FunctionType) and function.__new__ is object.__new__:
                created = Object(function, function)
                self.call_function(init, [created, *args], kwargs)
                return created
        if not gets_trial and isinstance(function, (type, BuiltinFunctionType)):
            found = self._call_builtin(function, args, kwargs)
            if found is not UNKNOWN:
                return found
        return self._escape([function, *args, *kwargs.values()], node)

    def _ask(self, method: str, args: list[Any], kwargs: dict[str, Any], node: ast.Call) -> Any:
        """Call a method of the trial."""
        if method in SUGGESTIONS:
            return self.path.suggest(method, args, kwargs, line(node))
        if method not in HARMLESS:
            self.path.open(f"what trial.{method} asks for ({line(node)})")
        return UNKNOWN

    def _escape(self, values: list[Any], node: ast.Call) -> Any:
        """Call what is not read: it can change what it reaches, and use the trial."""
        if any(self.carries(each) for each in values) and not self._is_harmless(node):
            what = ast.unparse(node.func)[:60]
            self.path.open(f"what {what} does with the trial ({line(node)})")
        for each in values:
            self.forget(each)
        return UNKNOWN

    def _is_harmless(self, node: ast.Call) -> bool:
        name = ast.unparse(node.func).rpartition(".")[2]
        return "Callback" in name or name in _SHOWN

    def _call_builtin(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if is_one_of(function, PURE):
            return UNKNOWN if kwargs else self.path.apply(function, *args)
        if function is dict:
            found: dict[Any, Any] = {}
            for each in (*args, kwargs):
                self.update(found, each)
            return found
        if function is enumerate and args:
            start = self.path.now((*args[1:], kwargs.get("start", 0))[0])
            items = items_of(self.path.settle(args[0]))
            is_known = type(start) is int and items is not None
            return list(enumerate(items or (), start)) if is_known else UNKNOWN
        if not is_one_of(function, OF_ITEMS) or kwargs:
            return UNKNOWN
        lists = [items_of(self.path.settle(each)) for each in args]
        return UNKNOWN if any(each is None for each in lists) else OF_ITEMS[function](*lists)

    # --- methods of containers and strings --------------------------------------------------

    def _call_method(self, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if isinstance(owner, (OfChoice, str)):
            if name == "format" and not kwargs:
                return self.path.apply(format_text, owner, *args)
            if name in TEXT_METHODS and not kwargs:
                return self.path.apply(getattr(str, name), owner, *args)
            return UNKNOWN
        if not is_blurred(owner) and not (kwargs and name != "update"):
            of_kind = self._call_of_list if type(owner) is list else self._call_of_dict
            found = of_kind(owner, name, args, kwargs)
            if found is not NotImplemented:
                return found
        for each in (owner, *args):
            blur(each)
        if any(self.carries(each) for each in args):
            self.path.open("a container that holds the trial")
        return UNKNOWN

    def _call_of_list(self, owner: list[Any], name: str, args: list[Any], kwargs: Any) -> Any:
        if name == "copy":
            return list(owner)
        if name == "append" and len(args) == 1:
            owner.append(args[0])
            return None
        if name == "extend" and (items := items_of(self.path.settle(args[0]))) is not None:
            owner.extend(items)
            return None
        return NotImplemented

    def _call_of_dict(self, owner: dict[Any, Any], name: str, args: list[Any], kwargs: Any) -> Any:
        if name == "copy":
            return dict(owner)
        if name in ("items", "keys", "values") and not args:
            return list(getattr(owner, name)())
        if name == "update":
            for each in (*args, kwargs):
                self.update(owner, each)
            return None
        if name == "get" and args and is_plain(key := self.path.settle(args[0])):
            return owner.get(key, args[1] if len(args) > 1 else None)
        return NotImplemented
