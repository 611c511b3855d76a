"""Follow branches, loops and handlers of an objective."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from .functions import (
    BreakSignal,
    ContinueSignal,
    Functions,
    leaves,
    RaisedError,
    ReturnSignal,
    Statements,
)
from .names import line
from .path import GiveUpError
from .source import nodes_of
from .values import blur, Frame, items_of, UNKNOWN


_MAX_ROUNDS = 300
# Loops without suggestions are followed round by round up to this length.
_MAX_IDLE_ROUNDS = 32


class Follower(Functions):
    """Follows an objective on one path."""

    # --- branches ---------------------------------------------------------------------------

    def _If(self, node: ast.If, frame: Frame) -> None:
        bodies = [*node.body, *node.orelse]
        is_idle = not self.asks(bodies, frame) and not leaves(bodies)
        asks = self.asks([node.test], frame)
        if is_idle and (self._coarse or not (asks or self.is_certain(node.test, frame))):
            self.evaluate(node.test, frame)
            self.skip(bodies, frame)
        else:
            self.follow(node.body if self.is_true(node.test, frame) else node.orelse, frame)

    def _With(self, node: ast.With, frame: Frame) -> None:
        text = " ".join(ast.unparse(item.context_expr) for item in node.items)
        if "suppress" in text or "raises" in text:
            self._other(node, frame)
            return
        for item in node.items:
            value = self.evaluate(item.context_expr, frame)
            if item.optional_vars is not None:
                blur(value)
                self.assign(item.optional_vars, UNKNOWN, frame)
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
            may_leave = leaves([*node.body, *node.handlers])
            self.path.doubt = before or ("after a handler that may return" if may_leave else "")
            self.unknown()  # what is not caught here may be caught further out
        self.follow(node.finalbody, frame)

    # --- loops ------------------------------------------------------------------------------

    def _For(self, node: ast.For, frame: Frame) -> None:
        value = self.evaluate(node.iter, frame)
        is_idle = not self.asks([*node.body, *node.orelse], frame) and not self.carries(value)
        items = items_of(value if is_idle and self._coarse else self.path.settle(value))
        is_long = items is None or len(items) > (_MAX_IDLE_ROUNDS if is_idle else _MAX_ROUNDS)
        if is_idle and (is_long or leaves(node.body)):
            self.skip_over(node, frame, may_leave=_returns(node.body))
        elif items is None or is_long:
            self._vague_loop(node, frame)
        else:
            self._rounds(node, items, frame)

    def _While(self, node: ast.While, frame: Frame) -> None:
        if self.asks([node], frame):
            self._vague_loop(node, frame)
        else:
            self.skip_over(node, frame, may_leave=_returns(node.body))

    def _rounds(self, node: ast.For, items: Iterable[Any], frame: Frame) -> None:
        for item in items:
            self.assign(node.target, item, frame)
            try:
                self.follow(node.body, frame)
            except BreakSignal:
                return
            except ContinueSignal:
                continue
        self.follow(node.orelse, frame)

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


def _returns(statements: Statements) -> bool:
    return any(isinstance(node, ast.Return) for node in nodes_of(statements))


def _only_raises(statements: Statements) -> bool:
    return isinstance(statements[-1], ast.Raise) and not leaves(statements)
