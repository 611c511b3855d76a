"""Follow the functions of an objective: their arguments, and statements without branches."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import FunctionType
from typing import Any, TypeAlias

from .calls import Calls
from .names import line
from .path import GiveUpError, Path
from .source import (
    FunctionNode,
    loaded_names,
    nodes_of,
    rebound_names,
    Source,
    Sources,
    stored_names,
)
from .values import blur, Closure, Frame, items_of, Object, UNBOUND, UNKNOWN


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


class Functions(Calls):
    """Follows functions on one path.

    Args:
        coarse:
            Whether to skip branches that ask for no parameter, instead of following both.
    """

    def __init__(self, path: Path, sources: Sources, *, coarse: bool) -> None:
        super().__init__(path)
        self._sources = sources
        self._coarse = coarse
        self._depth = 0
        self._body: Statements = ()  # that of the objective itself

    def call_function(
        self, function: FunctionType | Closure, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        if isinstance(function, Closure):
            node, outer, defaults = function.node, function.frame, function.defaults
            frame = Frame({}, outer, outer.function, outer.source, outer.rebound)
        else:
            found = self._sources.find(function)
            if found is None:
                self.path.open(f"what {function.__qualname__} asks for (its source is not known)")
                return UNKNOWN
            node, source = found
            defaults = self._live_defaults(function, source)
            frame = Frame({}, None, function, source)
        if self._depth == _MAX_DEPTH:
            raise GiveUpError("a recursion")
        if isinstance(node, ast.AsyncFunctionDef):
            raise GiveUpError("an asynchronous function")
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in nodes_of(body)):
            raise GiveUpError("a generator")
        if self._depth == 0:
            self._body = body
        frame.names = dict.fromkeys(stored_names(body), UNBOUND)
        frame.names |= _bind(node, defaults, args, kwargs)
        frame.rebound |= rebound_names(node)
        self._depth += 1
        try:
            if isinstance(node, ast.Lambda):
                return self.evaluate(node.body, frame)
            self.follow(body, frame)
        except ReturnSignal as returned:
            return returned.value
        finally:
            self._depth -= 1
        return None

    def _live_defaults(self, function: FunctionType, source: Source) -> dict[str, Any]:
        code, values = function.__code__, function.__defaults__ or ()
        names = code.co_varnames[: code.co_argcount][code.co_argcount - len(values) :]
        named = {**dict(zip(names, values, strict=True)), **(function.__kwdefaults__ or {})}
        return {
            name: UNKNOWN if name in source.changed else self.lift(value)
            for name, value in named.items()
        }

    # --- statements -------------------------------------------------------------------------

    def follow(self, statements: Statements, frame: Frame) -> None:
        """Follow statements in order."""
        for at, node in enumerate(statements):
            self.path.step()
            is_compound = isinstance(node, (ast.If, ast.For, ast.While, ast.Try, ast.With))
            if is_compound and statements is self._body and not self.asks(statements[at:], frame):
                raise ReturnSignal(UNKNOWN)  # what is left of the objective asks for nothing
            getattr(self, f"_{type(node).__name__}", self._other)(node, frame)

    def skip(self, statements: Statements, frame: Frame) -> None:
        """Forget what statements that ask for nothing may have changed."""
        frame.names |= dict.fromkeys(stored_names(statements), UNKNOWN)
        for name in sorted(loaded_names(statements)):
            self.forget(self.look_up(name, frame))
        for node in nodes_of(statements):
            self.path.step()
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                owner = self.evaluate(node.value, frame)
                if isinstance(owner, Object):
                    owner.attrs[node.attr] = UNKNOWN
        self.unknown()

    def _other(self, node: ast.AST, frame: Frame) -> None:
        if self.asks([node], frame):
            raise GiveUpError(f"{type(node).__name__} ({line(node)})")
        self.skip_over(node, frame, may_leave=leaves([node]))

    def skip_over(self, node: ast.AST, frame: Frame, *, may_leave: bool) -> None:
        """Skip a statement that asks for nothing."""
        self.skip([node], frame)
        if may_leave and not self.path.doubt:
            self.path.doubt = f"after what may return ({line(node)})"

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
        target = ast.parse(ast.unparse(node.target), mode="eval").body  # to be read
        old = self.path.now(self.evaluate(target, frame))
        value = self.evaluate(node.value, frame)
        if type(old) is list:  # changed in place
            more = items_of(self.path.settle(value))
            if more is None or not isinstance(node.op, ast.Add):
                blur(old)
            else:
                old.extend(more)
        elif type(old) is dict:
            self.update(old, value)
        else:
            old = self.binary(node.op, old, value)
        self.assign(node.target, old, frame)

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

    def _FunctionDef(self, node: ast.FunctionDef, frame: Frame) -> None:
        closure = Closure(node, frame, self.defaults(node.args, frame))
        frame.names[node.name] = closure
        if node.decorator_list:
            if self.carries(closure):
                self.path.open(f"what {node.name} asks for, which is decorated")
            frame.names[node.name] = UNKNOWN


def leaves(statements: Statements) -> bool:
    """Return whether statements may go elsewhere, other than by an exception."""
    return any(isinstance(n, (ast.Return, ast.Break, ast.Continue)) for n in nodes_of(statements))


def _bind(
    node: FunctionNode, defaults: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return the parameters' values.

    Raises:
        RaisedError: The arguments are wrong; they raise an exception in the trial, too.
    """
    names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
    required = [*names, *(arg.arg for arg in node.args.kwonlyargs)]
    bound = {**defaults, **dict(zip(names, args, strict=False))}
    rest = {key: value for key, value in kwargs.items() if key not in required}
    bound.update((key, value) for key, value in kwargs.items() if key not in rest)
    if node.args.vararg is not None:
        bound[node.args.vararg.arg] = tuple(args[len(names) :])
    elif len(args) > len(names):
        raise RaisedError
    if node.args.kwarg is not None:
        bound[node.args.kwarg.arg] = rest
    elif rest:
        raise RaisedError
    if any(name not in bound for name in required):
        raise RaisedError
    return bound
