"""Evaluate the expressions of an objective as far as they are certain, without its calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
import operator
from types import FunctionType
from typing import Any

from .names import line, Names
from .operators import format_value, OPERATORS
from .values import (
    blur,
    Closure,
    CONSTANTS,
    Frame,
    is_blurred,
    is_one_of,
    is_plain,
    items_of,
    lift,
    Object,
    OfChoice,
    TRIAL,
    UNKNOWN,
)


_CONVERSIONS: dict[str, Callable[..., Any]] = {"s": str, "r": repr, "a": ascii}


class Expressions(Names):
    """Evaluates expressions, their truth, and the targets of assignments."""

    def evaluate(self, node: ast.expr, frame: Frame) -> Any:
        """Return the value of an expression."""
        self.path.step()
        read = getattr(self, f"_{type(node).__name__}", None)
        return self._unread(node, frame) if read is None else read(node, frame)

    def _unread(self, node: ast.expr, frame: Frame) -> Any:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child, frame)
        return self.unknown()

    def result(self, value: Any) -> Any:
        return self.unknown() if value is UNKNOWN else value

    def _Constant(self, node: ast.Constant, frame: Frame) -> Any:
        return lift(node.value)

    def _Name(self, node: ast.Name, frame: Frame) -> Any:
        return self.look_up(node.id, frame)

    def _NamedExpr(self, node: ast.NamedExpr, frame: Frame) -> Any:
        while frame.is_comprehension and frame.outer is not None:
            frame = frame.outer
        frame.names[node.target.id] = value = self.evaluate(node.value, frame)
        return value

    def _Attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        return self.attribute(self.path.now(self.evaluate(node.value, frame)), node.attr, frame)

    def _Lambda(self, node: ast.Lambda, frame: Frame) -> Any:
        return Closure(node, frame, self.defaults(node.args, frame))

    def defaults(self, args: ast.arguments, frame: Frame) -> dict[str, Any]:
        """Return the default values of parameters by name."""
        positional = [*args.posonlyargs, *args.args]
        pairs = [
            *zip(positional[len(positional) - len(args.defaults) :], args.defaults, strict=True),
            *zip(args.kwonlyargs, args.kw_defaults, strict=True),
        ]
        return {arg.arg: self.evaluate(node, frame) for arg, node in pairs if node is not None}

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
        found = self.path.settle(self.path.apply(bool, value))
        if isinstance(found, bool):
            return found
        if value is TRIAL or isinstance(value, (FunctionType, Closure)):
            return True
        if type(value) in (tuple, list, dict) and not is_blurred(value):
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
        return self.path.now(self.path.apply(bool, self.evaluate(node, frame))) is not UNKNOWN

    # --- operators --------------------------------------------------------------------------

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        """Return the result of a binary operator."""
        function = OPERATORS.get(type(op))
        return self.result(UNKNOWN if function is None else self.path.apply(function, left, right))

    def _BinOp(self, node: ast.BinOp, frame: Frame) -> Any:
        left = self.evaluate(node.left, frame)
        return self.binary(node.op, left, self.evaluate(node.right, frame))

    def _UnaryOp(self, node: ast.UnaryOp, frame: Frame) -> Any:
        value = self.evaluate(node.operand, frame)
        return self.result(self.path.apply(OPERATORS[type(node.op)], value))

    def _BoolOp(self, node: ast.BoolOp, frame: Frame) -> Any:
        stops = isinstance(node.op, ast.Or)
        for operand in node.values[:-1]:
            value = self.evaluate(operand, frame)
            if self.truth(value, ast.unparse(operand)) == stops:
                return self.path.now(value)
        return self.evaluate(node.values[-1], frame)

    def _Compare(self, node: ast.Compare, frame: Frame) -> Any:
        left, result = self.evaluate(node.left, frame), None
        both: Callable[[Any, Any], Any] = lambda one, other: one and other  # noqa: E731
        for op, operand in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(operand, frame)
            if isinstance(op, (ast.Is, ast.IsNot)) and right is None and _is_object(left):
                one: Any = isinstance(op, ast.IsNot)
            else:
                one = self.path.apply(OPERATORS[type(op)], left, right)
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
        if node.conversion != -1:
            value = self.path.apply(_CONVERSIONS[chr(node.conversion)], value)
        return self.path.apply(format_value, value, spec)

    # --- containers -------------------------------------------------------------------------

    def items(self, nodes: Iterable[ast.expr], frame: Frame) -> list[Any] | None:
        """Return the values of expressions, some with ``*``; :obj:`None` if not known."""
        found: list[Any] | None = []
        for node in nodes:
            is_starred = isinstance(node, ast.Starred)
            value = self.evaluate(node.value if isinstance(node, ast.Starred) else node, frame)
            more = items_of(self.path.settle(value)) if is_starred else [value]
            found = None if found is None or more is None else [*found, *more]
        return found

    def entries(
        self, nodes: Iterable[tuple[ast.expr | None, ast.expr]], frame: Frame
    ) -> dict[Any, Any]:
        """Return a dictionary of expressions; those without a key are preceded by ``**``."""
        found: dict[Any, Any] = {}
        for key_node, value_node in nodes:
            key = None if key_node is None else self.evaluate(key_node, frame)
            value = self.evaluate(value_node, frame)
            if key_node is None:
                self.update(found, value)
            else:
                self.store(found, key, value)
        return found

    def _Tuple(self, node: ast.Tuple, frame: Frame) -> Any:
        items = self.items(node.elts, frame)
        return self.unknown() if items is None else tuple(items)

    def _List(self, node: ast.List, frame: Frame) -> Any:
        items = self.items(node.elts, frame)
        return self.unknown() if items is None else items

    def _Set(self, node: ast.Set, frame: Frame) -> Any:
        return self.path.apply(frozenset, self.items(node.elts, frame))

    def _Dict(self, node: ast.Dict, frame: Frame) -> Any:
        return self.entries(zip(node.keys, node.values, strict=True), frame)

    def update(self, found: dict[Any, Any], more: Any) -> None:
        """Add the entries of one dictionary to another."""
        more = self.path.now(more)
        if type(more) is dict and not is_blurred(more):
            found.update(more)
        else:
            self.unknown()
            blur(found)

    def store(self, container: Any, key: Any, value: Any) -> None:
        """Set an element."""
        key = self.path.now(key)
        is_item = type(container) is list and type(key) is int and key in range(len(container))
        if is_item or (type(container) is dict and is_plain(key)):
            container[key] = value
        else:
            self.unknown()
            blur(container)

    def _Subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        container = self.path.now(self.evaluate(node.value, frame))
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            ends = [None if part is None else self.evaluate(part, frame) for part in parts]
            cut: Callable[..., Any] = lambda values, *ends: values[slice(*ends)]  # noqa: E731
            return self.result(self.path.apply(cut, container, *ends))
        return self.element(container, self.path.now(self.evaluate(node.slice, frame)))

    def element(self, container: Any, key: Any) -> Any:
        """Return an element; of a table of functions, the one on this path."""
        is_table = type(container) in (list, dict, tuple) and not is_blurred(container)
        values = container.values() if type(container) is dict else container
        if not is_table or (
            isinstance(key, OfChoice) and all(type(each) in CONSTANTS for each in values)
        ):
            return self.result(self.path.apply(operator.getitem, container, key))
        key = self.path.settle(key)
        try:
            return container[key] if is_plain(key) else self.unknown()
        except (LookupError, TypeError):
            return self.unknown()

    # --- comprehensions ---------------------------------------------------------------------

    def _ListComp(self, node: ast.ListComp | ast.GeneratorExp, frame: Frame) -> Any:
        found = self._comprehend(node, frame, lambda inner: self.evaluate(node.elt, inner))
        return self.unknown() if found is None else found

    def _SetComp(self, node: ast.SetComp, frame: Frame) -> Any:
        read: Callable[[Frame], Any] = lambda inner: self.evaluate(node.elt, inner)  # noqa: E731
        return self.result(self.path.apply(frozenset, self._comprehend(node, frame, read)))

    def _DictComp(self, node: ast.DictComp, frame: Frame) -> Any:
        entry = ast.Tuple([node.key, node.value], ast.Load())
        pairs = self._comprehend(node, frame, lambda inner: self.evaluate(entry, inner))
        found: dict[Any, Any] = {}
        for key, value in pairs or ():
            self.store(found, key, value)
        if pairs is None:
            self.unknown()
            blur(found)
        return found

    def _GeneratorExp(self, node: ast.GeneratorExp, frame: Frame) -> Any:
        if self.asks([node], frame):
            self.path.open(f"a generator ({line(node)})")
        return UNKNOWN

    def _comprehend(
        self,
        node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp,
        frame: Frame,
        element: Callable[[Frame], Any],
    ) -> list[Any] | None:
        """Return the elements; :obj:`None` if their number is not known."""
        found: list[Any] = []
        is_known = True

        def walk(loops: Sequence[ast.comprehension]) -> None:
            nonlocal is_known
            if not loops:
                found.append(element(inner))
                return
            items = items_of(self.path.settle(self.evaluate(loops[0].iter, inner)))
            before = self.path.doubt
            if items is None:
                is_known = False
                self.unknown()
                self.path.doubt = before or "in a loop of unknown length"
            for item in [UNKNOWN] if items is None else items:
                self.assign(loops[0].target, item, inner)
                if all(self.is_true(test, inner) for test in loops[0].ifs):
                    walk(loops[1:])
            if items is None:
                self.path.doubt = before

        inner = Frame(
            {}, frame, frame.function, frame.source, frame.rebound, is_comprehension=True
        )
        walk(node.generators)
        return found if is_known else None

    # --- targets ----------------------------------------------------------------------------

    def assign(self, target: ast.expr, value: Any, frame: Frame) -> None:
        """Bind a target of an assignment."""
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value, frame)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, UNKNOWN, frame)
        elif isinstance(target, ast.Attribute):
            owner = self.evaluate(target.value, frame)
            if isinstance(owner, Object):
                owner.attrs[target.attr] = value
            else:
                self.unknown()
        elif isinstance(target, ast.Subscript):
            container = self.path.now(self.evaluate(target.value, frame))
            self.store(container, self.evaluate(target.slice, frame), value)

    def _unpack(self, targets: list[ast.expr], value: Any, frame: Frame) -> None:
        value = self.path.settle(value)
        items = items_of(value)
        is_simple = not any(isinstance(target, ast.Starred) for target in targets)
        if items is None or len(items) != len(targets) or not is_simple:
            self.unknown()
            blur(value)
            items = [UNKNOWN] * len(targets)
        for target, item in zip(targets, items, strict=True):
            self.assign(target, item, frame)


def _is_object(value: Any) -> bool:
    """Return whether a value is certainly not :obj:`None`."""
    kinds = (FunctionType, Closure, Object, list, dict, tuple)
    return is_one_of(value, [TRIAL]) or isinstance(value, kinds)
