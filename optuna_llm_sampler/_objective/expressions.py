"""Evaluate the expressions of an objective as far as they are certain."""

from __future__ import annotations

import ast
from collections.abc import Callable
import operator
from types import FunctionType
from typing import Any

from .names import Names
from .operators import fail, format_spec_of, OPERATORS, take_slice
from .values import (
    blur,
    Closure,
    CONSTANTS,
    DictValue,
    Frame,
    items_of,
    lift,
    ListValue,
    NotPlainError,
    Object,
    OfChoice,
    plain,
    TRIAL,
    Unknown,
)


class Expressions(Names):
    """Evaluates expressions without calls and comprehensions, and their truth."""

    def evaluate(self, node: ast.expr, frame: Frame) -> Any:
        """Return the value of an expression."""
        self.path.script.step()
        read = getattr(self, f"_{type(node).__name__}", None)
        if read is not None:
            return read(node, frame)
        for child in ast.iter_child_nodes(node):  # slices, sets, ...
            if isinstance(child, ast.expr):
                self.evaluate(child, frame)
        return self.unknown()

    def _Constant(self, node: ast.Constant, frame: Frame) -> Any:
        return lift(node.value)

    def _Name(self, node: ast.Name, frame: Frame) -> Any:
        return self.look_up(node.id, frame)

    def _NamedExpr(self, node: ast.NamedExpr, frame: Frame) -> Any:
        while frame.outer is not None and not frame.own:  # out of comprehensions
            frame = frame.outer
        frame.names[node.target.id] = value = self.evaluate(node.value, frame)
        return value

    def _Attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        return self.attribute(self.path.now(self.evaluate(node.value, frame)), node.attr, frame)

    # --- truth ------------------------------------------------------------------------------

    def is_true(self, node: ast.expr, frame: Frame) -> bool:
        """Return whether a condition holds on this path; fork if both is possible."""
        if isinstance(node, ast.BoolOp):
            stops = isinstance(node.op, ast.Or)
            return any(self.is_true(v, frame) == stops for v in node.values) == stops
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not self.is_true(node.operand, frame)
        return self.truth(self.evaluate(node, frame), ast.unparse(node))

    def truth(self, value: Any, what: str) -> bool:
        """Return the truth of a value on this path; fork if both is possible."""
        found = self.path.settle(value, bool)
        if isinstance(found, bool):
            return found
        if value is TRIAL or isinstance(value, (FunctionType, Closure)):
            return True
        if isinstance(value, (tuple, ListValue, DictValue)) and not is_blurred(value):
            return bool(value)
        is_true = self.path.fork(2) == 0
        self.path.because = what if len(what) < 60 else f"{what[:57]}..."
        return is_true

    def is_certain(self, node: ast.expr, frame: Frame) -> bool:
        """Return whether the choices decide a condition; only for one without side effects."""
        if isinstance(node, ast.BoolOp):
            return all(self.is_certain(value, frame) for value in node.values)
        if isinstance(node, ast.UnaryOp):
            return self.is_certain(node.operand, frame)
        found = self.path.now(self.path.apply(bool, self.evaluate(node, frame)))
        return not isinstance(found, Unknown)

    # --- operators --------------------------------------------------------------------------

    def result(self, value: Any) -> Any:
        return self.unknown() if isinstance(value, Unknown) else value

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        """Return the result of a binary operator."""
        return self.result(self.path.apply(OPERATORS.get(type(op), fail), left, right))

    def _BinOp(self, node: ast.BinOp, frame: Frame) -> Any:
        left = self.evaluate(node.left, frame)
        return self.binary(node.op, left, self.evaluate(node.right, frame))

    def _UnaryOp(self, node: ast.UnaryOp, frame: Frame) -> Any:
        operation = OPERATORS.get(type(node.op), operator.not_)
        return self.result(self.path.apply(operation, self.evaluate(node.operand, frame)))

    def _BoolOp(self, node: ast.BoolOp, frame: Frame) -> Any:
        stops = isinstance(node.op, ast.Or)
        for operand in node.values[:-1]:
            value = self.evaluate(operand, frame)
            if self.truth(value, ast.unparse(operand)) == stops:
                return self.path.now(value)
        return self.evaluate(node.values[-1], frame)

    def _Compare(self, node: ast.Compare, frame: Frame) -> Any:
        left, result = self.evaluate(node.left, frame), None
        for op, operand in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(operand, frame)
            if isinstance(op, (ast.Is, ast.IsNot)) and right is None and _is_object(left):
                one: Any = isinstance(op, ast.IsNot)
            else:
                one = self.path.apply(OPERATORS[type(op)], left, right)
            both: Callable[..., Any] = lambda a, b: a and b  # noqa: E731
            result = one if result is None else self.path.apply(both, result, one)
            left = right
        return self.result(result)

    def _IfExp(self, node: ast.IfExp, frame: Frame) -> Any:
        return self.evaluate(node.body if self.is_true(node.test, frame) else node.orelse, frame)

    def _JoinedStr(self, node: ast.JoinedStr, frame: Frame) -> Any:
        text: Any = ""
        for part in node.values:
            text = self.path.apply(operator.add, text, self.evaluate(part, frame))
        return self.result(text)

    def _FormattedValue(self, node: ast.FormattedValue, frame: Frame) -> Any:
        value = self.evaluate(node.value, frame)
        spec = "" if node.format_spec is None else self.evaluate(node.format_spec, frame)
        convert = {-1: None, 115: str, 114: repr, 97: ascii}[node.conversion]
        if convert is not None:
            value = self.path.apply(convert, value)
        return self.path.apply(format_spec_of, value, spec)

    # --- containers -------------------------------------------------------------------------

    def _Tuple(self, node: ast.Tuple, frame: Frame) -> Any:
        items = self._items(node.elts, frame)
        return self.unknown() if items is None else tuple(items)

    def _List(self, node: ast.List, frame: Frame) -> Any:
        items = self._items(node.elts, frame)
        return self.unknown() if items is None else ListValue(items)

    def _Set(self, node: ast.Set, frame: Frame) -> Any:
        items = self._items(node.elts, frame)
        return self.path.apply(frozenset, self.unknown() if items is None else ListValue(items))

    def _items(self, nodes: list[ast.expr], frame: Frame) -> list[Any] | None:
        found: list[Any] | None = []
        for node in nodes:
            value = self.evaluate(node.value if isinstance(node, ast.Starred) else node, frame)
            if isinstance(node, ast.Starred):
                more = items_of(self.path.settle(value))
            else:
                more = [value]
            found = None if found is None or more is None else [*found, *more]
        return found

    def _Dict(self, node: ast.Dict, frame: Frame) -> Any:
        found = DictValue()
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            key = None if key_node is None else self.path.now(self.evaluate(key_node, frame))
            value = self.evaluate(value_node, frame)
            if key_node is None:
                self.update(found, value)
            else:
                self.store(found, key, value)
        return found

    def update(self, found: DictValue, more: Any) -> None:
        """Add the entries of one dictionary to another."""
        more = self.path.now(more)
        if isinstance(more, DictValue) and not more.blurred:
            found.update(more)
        else:
            self.unknown()
            blur(found)

    def store(self, container: Any, key: Any, value: Any) -> None:
        """Set an element."""
        key = self.path.now(key)
        is_item = (
            type(container) is ListValue and type(key) is int and key in range(len(container))
        )
        if is_item or (isinstance(container, DictValue) and is_key(key)):
            container[key] = value
        else:
            self.unknown()
            blur(container)

    def _Subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        container = self.path.now(self.evaluate(node.value, frame))
        if isinstance(node.slice, ast.Slice):
            ends = [
                None if part is None else self.evaluate(part, frame)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            return self.result(self.path.apply(take_slice, container, *ends))
        return self.element(container, self.path.now(self.evaluate(node.slice, frame)))

    def element(self, container: Any, key: Any) -> Any:
        """Return an element; of a table of functions, the one on this path."""
        if type(container) not in (ListValue, DictValue, tuple) or is_blurred(container):
            return self.result(self.path.apply(operator.getitem, container, key))
        values = container.values() if isinstance(container, DictValue) else container
        if isinstance(key, OfChoice) and all(type(each) in CONSTANTS for each in values):
            return self.result(self.path.apply(operator.getitem, container, key))
        key = self.path.settle(key)
        try:
            return container[key] if is_key(key) else self.unknown()
        except (LookupError, TypeError):
            return self.unknown()


def is_key(value: Any) -> bool:
    try:
        hash(plain(value))
    except (NotPlainError, TypeError):
        return False
    return True


def is_blurred(value: Any) -> bool:
    return isinstance(value, (ListValue, DictValue)) and value.blurred


def _is_object(value: Any) -> bool:
    return value is TRIAL or isinstance(
        value, (FunctionType, Closure, Object, ListValue, DictValue, tuple)
    )
