"""Follow the statements of an objective on one path."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from collections.abc import Sequence
from types import FunctionType
from typing import Any
from typing import TypeAlias

from .expressions import Expressions
from .expressions import GiveUpError
from .expressions import line
from .path import Path
from .source import parameters
from .source import rebound_names
from .source import Source
from .source import Sources
from .source import stored_names
from .values import blur
from .values import Closure
from .values import DictValue
from .values import Frame
from .values import items_of
from .values import ListValue
from .values import Object
from .values import OfChoice
from .values import UNKNOWN


_MAX_DEPTH = 30
_MAX_ROUNDS = 300
# Loops without suggestions are followed round by round up to this length.
_MAX_IDLE_ROUNDS = 32

Statements: TypeAlias = Sequence[ast.AST]


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class RaisedError(Exception):
    """The objective raises an exception on this path."""


class Follower(Expressions):
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
            if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in _nodes(node.body)):
                raise GiveUpError("a generator")
            frame.own |= stored_names(list(node.body)) - _outer_names(node.body)
            self.follow(node.body, frame)
        except _Return as returned:
            return returned.value
        finally:
            self._functions -= 1
        return None

    def _live_defaults(self, function: FunctionType, source: Source) -> dict[str, Any]:
        code, values = function.__code__, function.__defaults__ or ()
        names = code.co_varnames[: code.co_argcount][code.co_argcount - len(values) :]
        named = {**dict(zip(names, values, strict=True)), **(function.__kwdefaults__ or {})}
        return {
            name: UNKNOWN if name in source.changed else self.lift(value)
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

    def _skip(self, statements: Statements, frame: Frame) -> None:
        """Forget what statements that ask for nothing may have changed."""
        for name in stored_names(list(statements)):
            frame.names[name] = UNKNOWN
        for node in _nodes(statements):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                if node.id in frame.names or frame.outer is not None:
                    blur(self.look_up(node.id, frame))
            elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                owner = self.evaluate(node.value, frame)
                if isinstance(owner, Object):
                    owner.attrs[node.attr] = UNKNOWN
        self.unknown()

    def _other(self, node: ast.AST, frame: Frame) -> None:
        if self.asks([node], frame):
            raise GiveUpError(f"{type(node).__name__} ({line(node)})")
        self._skip([node], frame)

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
        self._skip([node], frame)

    def _Return(self, node: ast.Return, frame: Frame) -> None:
        raise _Return(None if node.value is None else self.evaluate(node.value, frame))

    def _Raise(self, node: ast.Raise, frame: Frame) -> None:
        for each in filter(None, (node.exc, node.cause)):
            self.evaluate(each, frame)
        raise RaisedError

    def _Assert(self, node: ast.Assert, frame: Frame) -> None:
        self.evaluate(node.test, frame)
        self.unknown()

    def _Break(self, node: ast.Break, frame: Frame) -> None:
        raise _Break

    def _Continue(self, node: ast.Continue, frame: Frame) -> None:
        raise _Continue

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

    # --- branches ---------------------------------------------------------------------------

    def _If(self, node: ast.If, frame: Frame) -> None:
        bodies = [*node.body, *node.orelse]
        is_idle = not self.asks(bodies, frame) and not _leaves(bodies)
        asks = self.asks([node.test], frame)
        if is_idle and (self._coarse or not (asks or self.is_certain(node.test, frame))):
            self.evaluate(node.test, frame)
            self._skip(bodies, frame)
        else:
            self.follow(node.body if self.is_true(node.test, frame) else node.orelse, frame)

    def _Match(self, node: ast.Match, frame: Frame) -> None:
        subject = self.evaluate(node.subject, frame)
        for case in node.cases:
            for name in stored_names([case.pattern]):
                frame.names[name] = UNKNOWN
            is_met = self._matches(case.pattern, subject, frame)
            if is_met and (case.guard is None or self.is_true(case.guard, frame)):
                self.follow(case.body, frame)
                return

    def _matches(self, pattern: ast.pattern, subject: Any, frame: Frame) -> bool:
        if isinstance(pattern, ast.MatchAs):
            is_met = pattern.pattern is None or self._matches(pattern.pattern, subject, frame)
            if is_met and pattern.name is not None:
                frame.names[pattern.name] = subject
            return is_met
        if isinstance(pattern, ast.MatchOr):
            return any(self._matches(each, subject, frame) for each in pattern.patterns)
        value: Any = UNKNOWN
        if isinstance(pattern, ast.MatchValue):
            wanted = self.evaluate(pattern.value, frame)
            value = self.path.apply(lambda one, other: one == other, subject, wanted)
        elif isinstance(pattern, ast.MatchSingleton):
            value = self.path.apply(lambda one: one is pattern.value, subject)
        return self.truth(value, f"case {ast.unparse(pattern)}")

    def _With(self, node: ast.With, frame: Frame) -> None:
        for item in node.items:
            value = self.evaluate(item.context_expr, frame)
            if item.optional_vars is not None:
                blur(value)
                self.assign(item.optional_vars, UNKNOWN, frame)
        text = " ".join(ast.unparse(item.context_expr) for item in node.items)
        if "suppress" in text or "raises" in text:
            self._guarded(node.body, frame)
        else:
            self.follow(node.body, frame)

    def _Try(self, node: ast.Try, frame: Frame) -> None:
        before = self.path.doubt
        if not node.handlers:
            self.follow([*node.body, *node.orelse, *node.finalbody], frame)
            return
        has_returned = False
        try:
            may_raise = self._guarded([*node.body, *node.orelse], frame)
        except _Return:
            if not self._may_raise:
                raise
            may_raise = has_returned = True
        if may_raise:
            self.path.doubt = before or "in an exception's handler"
            for handler in node.handlers:
                self._round(handler.body, frame)
            self._skip([*node.body, *node.handlers], frame)
            ends = has_returned or any(_returns(handler.body) for handler in node.handlers)
            self.path.doubt = before or ("after a handler that may return" if ends else "")
        self.follow(node.finalbody, frame)

    _TryStar = _Try

    def _guarded(self, body: Statements, frame: Frame) -> bool:
        """Follow statements whose exceptions are caught; return whether they may raise any."""
        before, self.n_tries = self.path.doubt, self.n_tries + 1
        self._may_raise = True
        try:
            self.follow(body, frame)
        except RaisedError:
            return True
        finally:
            self.n_tries -= 1
            self._may_raise = self.path.doubt != before or bool(before)
            self.path.doubt = before
        return self._may_raise

    # --- loops ------------------------------------------------------------------------------

    def _For(self, node: ast.For, frame: Frame) -> None:
        items = items_of(self._iterable(node, frame))
        is_idle = not self.asks([*node.body, *node.orelse], frame)
        is_long = items is None or len(items) > (_MAX_IDLE_ROUNDS if is_idle else _MAX_ROUNDS)
        if is_idle and (is_long or _leaves(node.body)):
            self._skip_loop(node, frame)
        elif items is None or is_long:
            self._vague_loop(node, frame)
        else:
            self._rounds(node, items, frame)

    def _iterable(self, node: ast.For, frame: Frame) -> Any:
        value = self.evaluate(node.iter, frame)
        if isinstance(value, OfChoice) and not self.asks([*node.body, *node.orelse], frame):
            return self.path.now(value) if self._coarse else self.path.settle(value)
        return self.path.settle(value)

    def _rounds(self, node: ast.For, items: Sequence[Any], frame: Frame) -> None:
        for item in items:
            self.assign(node.target, item, frame)
            try:
                self.follow(node.body, frame)
            except _Break:
                return
            except _Continue:
                continue
        self.follow(node.orelse, frame)

    def _While(self, node: ast.While, frame: Frame) -> None:
        if not self.asks([node], frame):
            self._skip_loop(node, frame)
            return
        for _ in range(_MAX_ROUNDS):
            if isinstance(node.test, ast.Constant) or not self.is_certain(node.test, frame):
                self._vague_loop(node, frame)
                return
            if not self.is_true(node.test, frame):
                self.follow(node.orelse, frame)
                return
            try:
                self.follow(node.body, frame)
            except _Break:
                return
            except _Continue:
                continue
        raise GiveUpError(f"a long loop ({line(node)})")

    def _skip_loop(self, node: ast.For | ast.While, frame: Frame) -> None:
        """Skip a loop that asks for nothing."""
        self._skip([node], frame)
        if _returns(node.body) and not self.path.doubt:
            self.path.doubt = f"after a loop that may return ({line(node)})"

    def _vague_loop(self, node: ast.For | ast.While, frame: Frame) -> None:
        """Follow one round of a loop that can have any number of rounds."""
        self._skip([node], frame)
        before = self.path.doubt
        self.path.doubt = before or f"in a loop of unknown length ({line(node)})"
        self._round([*node.body, *node.orelse], frame)
        self._skip([node], frame)
        ends = _returns(node.body)
        self.path.doubt = before or ("after a loop that may return" if ends else "")

    def _round(self, statements: Statements, frame: Frame) -> None:
        """Follow statements that may not be reached."""
        try:
            self.follow(statements, frame)
        except (_Return, _Break, _Continue, RaisedError):
            pass


def _nodes(statements: Statements) -> Iterator[ast.AST]:
    """Walk statements, without nested functions and classes."""
    stack: list[ast.AST] = list(statements)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, kinds):
            stack.extend(ast.iter_child_nodes(node))


def _leaves(statements: Statements) -> bool:
    """Return whether statements may go elsewhere, other than by an exception."""
    return any(isinstance(n, (ast.Return, ast.Break, ast.Continue)) for n in _nodes(statements))


def _returns(statements: Statements) -> bool:
    return any(isinstance(node, ast.Return) for node in _nodes(statements))


def _outer_names(statements: Statements) -> set[str]:
    found: set[str] = set()
    for node in _nodes(statements):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            found |= set(node.names)
    return found


def _as_load(target: ast.expr) -> ast.expr:
    """Return the expression that reads the target of an assignment."""
    return ast.parse(ast.unparse(target), mode="eval").body
