"""Follow branches, loops and handlers of an objective."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from .functions import (
    BreakSignal,
    ContinueSignal,
    Functions,
    RaisedError,
    ReturnSignal,
    Statements,
)
from .names import line
from .path import GiveUpError
from .source import nodes_of, stored_names
from .values import blur, Frame, items_of, UNKNOWN


_MAX_ROUNDS = 300
# Loops without suggestions are followed round by round up to this length.
_MAX_IDLE_ROUNDS = 32


class Follower(Functions):
    """Follows an objective on one path."""

    # --- branches ---------------------------------------------------------------------------

    def _If(self, node: ast.If, frame: Frame) -> None:
        bodies = [*node.body, *node.orelse]
        is_idle = not self.asks(bodies, frame) and not _leaves(bodies)
        asks = self.asks([node.test], frame)
        if is_idle and (self._coarse or not (asks or self.is_certain(node.test, frame))):
            self.evaluate(node.test, frame)
            self.skip(bodies, frame)
        else:
            self.follow(node.body if self.is_true(node.test, frame) else node.orelse, frame)

    def _Match(self, node: ast.Match, frame: Frame) -> None:
        subject = self.evaluate(node.subject, frame)
        for case in node.cases:
            frame.names |= dict.fromkeys(stored_names([case.pattern]), UNKNOWN)
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
            handler = ast.ExceptHandler(body=[ast.Pass()])
            self._Try(ast.Try(node.body, [handler], [], []), frame)
        else:
            self.follow(node.body, frame)

    def _Try(self, node: ast.Try, frame: Frame) -> None:
        if self.asks(node.finalbody, frame):
            raise GiveUpError(f"a suggestion in finally ({line(node)})")
        before, signal = self.path.doubt, None
        if all(_only_raises(handler.body) for handler in node.handlers):  # or there is none
            self.follow([*node.body, *node.orelse, *node.finalbody], frame)
            return
        self.n_tries += 1
        try:
            self.follow([*node.body, *node.orelse], frame)
        except (ReturnSignal, BreakSignal, ContinueSignal, RaisedError) as error:
            signal = error
        finally:
            self.n_tries -= 1
        has_raised = isinstance(signal, RaisedError)
        if not self.path.doubt and not has_raised and signal is not None:
            raise signal
        if self.path.doubt or has_raised:
            self.path.doubt = before or "in an exception's handler"
            for handler in node.handlers:
                self._round(handler.body, frame)
            self.skip([*node.body, *node.handlers], frame)
            left = not has_raised and signal is not None
            may_leave = left or any(_leaves(handler.body) for handler in node.handlers)
            self.path.doubt = before or ("after a handler that may return" if may_leave else "")
        self.follow(node.finalbody, frame)

    # --- loops ------------------------------------------------------------------------------

    def _For(self, node: ast.For, frame: Frame) -> None:
        value = self.evaluate(node.iter, frame)
        is_idle = not self.asks([*node.body, *node.orelse], frame) and not self.carries(value)
        items = items_of(value if is_idle and self._coarse else self.path.settle(value))
        is_long = items is None or len(items) > (_MAX_IDLE_ROUNDS if is_idle else _MAX_ROUNDS)
        if is_idle and (is_long or _leaves(node.body)):
            self._skip_loop(node, frame)
        elif items is None or is_long:
            self._vague_loop(node, frame)
        else:
            self._rounds(node, self._each(node, items, frame), frame)

    def _While(self, node: ast.While, frame: Frame) -> None:
        if not self.asks([node], frame):
            self._skip_loop(node, frame)
        elif isinstance(node.test, ast.Constant) or not self.is_certain(node.test, frame):
            self._vague_loop(node, frame)
        else:
            self._rounds(node, self._while_true(node, frame), frame)

    def _each(self, node: ast.For, items: Iterable[Any], frame: Frame) -> Iterator[None]:
        for item in items:
            self.assign(node.target, item, frame)
            yield

    def _while_true(self, node: ast.While, frame: Frame) -> Iterator[None]:
        for _ in range(_MAX_ROUNDS):
            if not self.is_true(node.test, frame):
                return
            yield
        raise GiveUpError(f"a long loop ({line(node)})")

    def _rounds(self, node: ast.For | ast.While, begin: Iterable[None], frame: Frame) -> None:
        """Follow a loop round by round; taking the next of ``begin`` begins one."""
        for _ in begin:
            try:
                self.follow(node.body, frame)
            except BreakSignal:
                return
            except ContinueSignal:
                continue
        self.follow(node.orelse, frame)

    def _skip_loop(self, node: ast.For | ast.While, frame: Frame) -> None:
        """Skip a loop that asks for nothing."""
        self.skip([node], frame)
        if _returns(node.body) and not self.path.doubt:
            self.path.doubt = f"after a loop that may return ({line(node)})"

    def _vague_loop(self, node: ast.For | ast.While, frame: Frame) -> None:
        """Follow one round of a loop that can have any number of rounds."""
        self.skip([node], frame)
        before = self.path.doubt
        self.path.doubt = before or f"in a loop of unknown length ({line(node)})"
        self._round([*node.body, *node.orelse], frame)
        self.skip([node], frame)
        may_return = _returns(node.body)
        self.path.doubt = before or ("after a loop that may return" if may_return else "")

    def _round(self, statements: Statements, frame: Frame) -> None:
        """Follow statements that may not be reached."""
        try:
            self.follow(statements, frame)
        except (ReturnSignal, BreakSignal, ContinueSignal, RaisedError):
            pass


def _leaves(statements: Statements) -> bool:
    """Return whether statements may go elsewhere, other than by an exception."""
    return any(isinstance(n, (ast.Return, ast.Break, ast.Continue)) for n in nodes_of(statements))


def _returns(statements: Statements) -> bool:
    return any(isinstance(node, ast.Return) for node in nodes_of(statements))


def _only_raises(statements: Statements) -> bool:
    return isinstance(statements[-1], ast.Raise) and not _leaves(statements)
