"""Follow the statements of an objective that always go on to the next, and its functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any, TypeAlias

from .calls import Calls
from .names import GiveUpError, line
from .path import Path
from .source import loaded_names, parameters, rebound_names, Source, Sources, stored_names
from .values import blur, Closure, DictValue, Frame, items_of, ListValue, Object, UNKNOWN


_MAX_DEPTH = 30

Statements: TypeAlias = Sequence[ast.AST]


class ReturnSignal(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class BreakSignal(Exception):
    pass


class ContinueSignal(Exception):
    pass


class RaisedError(Exception):
    """The objective raises an exception on this path."""


class Simple(Calls):
    """Follows an objective on one path.

    Args:
        path:
            The path.
        sources:
            Finds the source of functions.
        coarse:
            Whether to skip branches that ask for no parameter, instead of following both.
    """

    def __init__(self, path: Path, sources: Sources, *, coarse: bool) -> None:
        super().__init__(path)
        self._sources = sources
        self._coarse = coarse
        self._depth = 0
        self._functions = 0
        self._may_raise = False
        self._body: Statements = ()

    def call_function(
        self, function: FunctionType | Closure, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        if isinstance(function, Closure):
            node, outer = function.node, function.frame
            frame = Frame({}, set(), outer, outer.function, outer.source, outer.rebound)
            defaults = function.defaults
        else:
            found, source = self._sources.node(function), self._sources.of(function)
            if found is None or source is None:
                self.path.open(f"what {function.__qualname__} asks for (its source is not known)")
                return UNKNOWN
            node, frame = found, Frame({}, set(), None, function, source, frozenset())
            defaults = self._live_defaults(function, source)
        if self._depth == _MAX_DEPTH:
            raise GiveUpError("a recursion")
        if isinstance(node, ast.AsyncFunctionDef):
            raise GiveUpError("an asynchronous function")
        frame.names = self._bind(node, defaults, args, kwargs)
        frame.own = set(parameters(node))
        frame.rebound |= rebound_names(node)
        self._depth += 1
        try:
            if isinstance(node, ast.Lambda):
                return self.evaluate(node.body, frame)
            return self._run(node, frame)
        finally:
            self._depth -= 1

    def _run(self, node: ast.FunctionDef, frame: Frame) -> Any:
        self._functions += 1
        if self._functions == 1:
            self._body = node.body
        try:
            if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in nodes_of(node.body)):
                raise GiveUpError("a generator")
            frame.own |= stored_names(node.body) - _outer_names(node.body)
            self.follow(node.body, frame)
        except ReturnSignal as returned:
            return returned.value
        finally:
            self._functions -= 1
        return None

    def _live_defaults(self, function: FunctionType, source: Source) -> dict[str, Any]:
        code, values = function.__code__, function.__defaults__ or ()
        names = code.co_varnames[: code.co_argcount][code.co_argcount - len(values) :]
        named = {**dict(zip(names, values, strict=True)), **(function.__kwdefaults__ or {})}
        return {
            name: UNKNOWN if name in source.changed_names else self.lift(value)
            for name, value in named.items()
        }

    def _bind(
        self,
        node: ast.FunctionDef | ast.Lambda,
        defaults: dict[str, Any],
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> dict[str, Any]:
        """Return the parameters' values; wrong arguments raise an exception in the trial, too."""
        names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
        only = [arg.arg for arg in node.args.kwonlyargs]
        bound = {**defaults, **dict(zip(names, args, strict=False))}
        rest = {key: value for key, value in kwargs.items() if key not in (*names, *only)}
        bound.update((key, value) for key, value in kwargs.items() if key not in rest)
        if node.args.vararg is not None:
            bound[node.args.vararg.arg] = tuple(args[len(names) :])
        elif len(args) > len(names):
            raise RaisedError
        if node.args.kwarg is not None:
            bound[node.args.kwarg.arg] = DictValue(rest)
        elif rest:
            raise RaisedError
        if any(name not in bound for name in (*names, *only)):
            raise RaisedError
        return bound

    # --- statements -------------------------------------------------------------------------

    def follow(self, statements: Statements, frame: Frame) -> None:
        """Follow statements in order."""
        for at, node in enumerate(statements):
            self.path.script.step()
            is_compound = isinstance(node, (ast.If, ast.For, ast.While, ast.Try, ast.With))
            if is_compound and statements is self._body and not self.asks(statements[at:], frame):
                return  # what is left of the objective asks for nothing
            getattr(self, f"_{type(node).__name__}", self._other)(node, frame)

    def asks(self, statements: Statements, frame: Frame) -> bool:
        """Return whether statements may ask the trial for parameters, or pass it on."""
        return self.carries_into(list(statements), frame)

    def skip(self, statements: Statements, frame: Frame) -> None:
        """Forget what statements that ask for nothing may have changed."""
        for name in stored_names(statements):
            frame.names[name] = UNKNOWN
        for name in loaded_names(statements):
            self.forget(self.look_up(name, frame))
        for node in nodes_of(statements):
            self.path.script.step()
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                owner = self.evaluate(node.value, frame)
                if isinstance(owner, Object):
                    owner.attrs[node.attr] = UNKNOWN
        self.unknown()

    def _other(self, node: ast.AST, frame: Frame) -> None:
        if self.asks([node], frame):
            raise GiveUpError(f"{type(node).__name__} ({line(node)})")
        self.skip([node], frame)

    def _Pass(self, node: ast.Pass, frame: Frame) -> None:
        pass

    _Global = _Nonlocal = _Pass

    def _Expr(self, node: ast.Expr, frame: Frame) -> None:
        self.evaluate(node.value, frame)

    def _Assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.evaluate(node.value, frame)
        for target in node.targets:
            self.assign(target, value, frame)

    def _AnnAssign(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value, frame), frame)

    def _AugAssign(self, node: ast.AugAssign, frame: Frame) -> None:
        old = self.path.now(self.evaluate(_as_load(node.target), frame))
        value = self.evaluate(node.value, frame)
        if isinstance(old, (ListValue, DictValue)):  # changed in place
            more = items_of(self.path.settle(value))
            if isinstance(old, DictValue):
                self.update(old, value)
            elif more is None or not isinstance(node.op, ast.Add):
                blur(old)
            else:
                old.extend(more)
            value = old
        else:
            value = self.binary(node.op, old, value)
        self.assign(node.target, value, frame)

    def _Delete(self, node: ast.Delete, frame: Frame) -> None:
        self.skip([node], frame)

    def _Return(self, node: ast.Return, frame: Frame) -> None:
        raise ReturnSignal(None if node.value is None else self.evaluate(node.value, frame))

    def _Raise(self, node: ast.Raise, frame: Frame) -> None:
        for each in filter(None, (node.exc, node.cause)):
            self.evaluate(each, frame)
        raise RaisedError

    def _Assert(self, node: ast.Assert, frame: Frame) -> None:
        self.evaluate(node.test, frame)
        self.unknown()

    def _Break(self, node: ast.Break, frame: Frame) -> None:
        raise BreakSignal

    def _Continue(self, node: ast.Continue, frame: Frame) -> None:
        raise ContinueSignal

    def _Import(self, node: ast.Import | ast.ImportFrom, frame: Frame) -> None:
        for name in stored_names([node]):
            frame.names[name] = UNKNOWN

    _ImportFrom = _Import

    def _FunctionDef(self, node: ast.FunctionDef, frame: Frame) -> None:
        closure = Closure(node, frame, self.defaults(node.args, frame))
        frame.names[node.name] = closure
        if node.decorator_list:
            if self.carries(closure):
                self.path.open(f"what {node.name} asks for, which is decorated")
            frame.names[node.name] = UNKNOWN


def nodes_of(statements: Statements) -> Iterator[ast.AST]:
    """Walk statements, without nested functions and classes."""
    stack: list[ast.AST] = list(statements)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, kinds):
            stack.extend(ast.iter_child_nodes(node))


def leaves(statements: Statements) -> bool:
    """Return whether statements may go elsewhere, other than by an exception."""
    return any(isinstance(n, (ast.Return, ast.Break, ast.Continue)) for n in nodes_of(statements))


def returns(statements: Statements) -> bool:
    return any(isinstance(node, ast.Return) for node in nodes_of(statements))


def _outer_names(statements: Statements) -> set[str]:
    found: set[str] = set()
    for node in nodes_of(statements):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            found |= set(node.names)
    return found


def _as_load(target: ast.expr) -> ast.expr:
    """Return the expression that reads the target of an assignment."""
    return ast.parse(ast.unparse(target), mode="eval").body
