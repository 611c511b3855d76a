"""Assignments, comprehensions and lambdas of an objective."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .expressions import Expressions
from .names import GiveUpError
from .values import blur, Closure, DictValue, Frame, items_of, ListValue, Object, UNKNOWN


class Assignments(Expressions):
    """Binds names."""

    # --- comprehensions ---------------------------------------------------------------------

    def _ListComp(self, node: ast.ListComp, frame: Frame) -> Any:
        items = self._comprehend(node, frame, lambda inner: self.evaluate(node.elt, inner))
        return self.unknown() if items is None else ListValue(items)

    def _SetComp(self, node: ast.SetComp, frame: Frame) -> Any:
        return self.path.apply(frozenset, self._ListComp(node, frame))  # type: ignore[arg-type]

    def _DictComp(self, node: ast.DictComp, frame: Frame) -> Any:
        found = DictValue()
        entries = self._comprehend(
            node,
            frame,
            lambda inner: (self.evaluate(node.key, inner), self.evaluate(node.value, inner)),
        )
        for key, value in entries or ():
            self.store(found, key, value)
        if entries is None:
            blur(found)
        return found

    def _GeneratorExp(self, node: ast.GeneratorExp, frame: Frame) -> Any:
        """Read a generator that may not be consumed to its end."""
        if self.carries_into([node], frame):
            before, self.path.doubt = self.path.doubt, "in a generator"
            self._ListComp(node, frame)  # type: ignore[arg-type]
            self.path.doubt = before
        return UNKNOWN

    def _comprehend(
        self, node: Any, frame: Frame, element: Callable[[Frame], Any]
    ) -> list[Any] | None:
        """Return the elements; :obj:`None` if their number is not known."""
        found: list[Any] = []
        is_known = True

        def walk(at: int, inner: Frame) -> None:
            nonlocal is_known
            if at == len(node.generators):
                found.append(element(inner))
                return
            loop = node.generators[at]
            if loop.is_async:
                raise GiveUpError("an asynchronous comprehension")
            items = items_of(self.path.settle(self.evaluate(loop.iter, inner)))
            before = self.path.doubt
            if items is None:
                is_known = False
                self.unknown()
                self.path.doubt = before or "in a loop of unknown length"
            for item in [UNKNOWN] if items is None else items:
                self.assign(loop.target, item, inner)
                if all(self.is_true(test, inner) for test in loop.ifs):
                    walk(at + 1, inner)
            if items is None:
                self.path.doubt = before

        walk(0, Frame({}, set(), frame, frame.function, frame.source, frame.rebound))
        return found if is_known else None

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

    def _Await(self, node: ast.Await, frame: Frame) -> Any:
        raise GiveUpError("await")

    def _Yield(self, node: ast.Yield, frame: Frame) -> Any:
        raise GiveUpError("yield")

    _YieldFrom = _Yield
