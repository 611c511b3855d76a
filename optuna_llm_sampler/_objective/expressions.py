"""Evaluate the expressions of an objective as far as they are certain."""

from __future__ import annotations

from abc import ABCMeta
import ast
import builtins
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
import inspect
import math
import operator
import re
from types import BuiltinFunctionType
from types import FunctionType
from types import ModuleType
from typing import Any

from .path import HARMLESS
from .path import Path
from .path import SUGGESTIONS
from .values import blur
from .values import Closure
from .values import CONSTANTS
from .values import DictValue
from .values import Frame
from .values import items_of
from .values import lift
from .values import ListValue
from .values import Method
from .values import NotPlainError
from .values import Object
from .values import OfChoice
from .values import plain
from .values import power
from .values import shift
from .values import times
from .values import TRIAL
from .values import TrialMethod
from .values import TrialValue
from .values import UNKNOWN
from .values import Unknown


class GiveUpError(Exception):
    """What follows on this path cannot be read."""


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: lambda one, other: _format_old(one, other),
    ast.Pow: power,
    ast.LShift: shift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: lambda one, other: _is(one, other),
    ast.IsNot: lambda one, other: not _is(one, other),
}
# Functions of constants.
_PURE: tuple[Any, ...] = (
    *(len, range, int, float, str, bool, abs, min, max, round, sum, sorted, repr),
    *(f for f in vars(math).values() if isinstance(f, BuiltinFunctionType)),
)
_OF_ITEMS: dict[Any, Callable[..., Any]] = {
    list: lambda items=(): ListValue(items),
    tuple: lambda items=(): tuple(items),
    reversed: lambda items: ListValue(items[::-1]),
    enumerate: lambda items: ListValue(enumerate(items)),
    zip: lambda *lists: ListValue(zip(*lists, strict=False)),
}
# They consume a generator to its end.
_CONSUMERS = (*_OF_ITEMS, sum, min, max, sorted, dict)
_TEXT_METHODS = ("lower", "upper", "strip", "startswith", "endswith", "replace", "split", "join")
_SPEC = re.compile(r"[<>=^]?[+\- ]?0?,?\d{0,2}(\.\d{1,2})?[a-zA-Z%]?")
_OLD_SPEC = re.compile(r"([^%]|%%|%0?\d{0,2}(\.\d{1,2})?[a-zA-Z])*")
_NEW_SPEC = re.compile(r"([^{}]|\{\w*(:0?\d{0,2}(\.\d{1,2})?[a-zA-Z]?)?\})*")


def _format_old(one: Any, other: Any) -> Any:
    if isinstance(one, str) and not _OLD_SPEC.fullmatch(one):
        raise ValueError
    return one % other


def _format_new(text: str, *args: Any) -> str:
    if not _NEW_SPEC.fullmatch(text):
        raise ValueError
    return text.format(*args)


def _format_spec(value: Any, spec: str) -> str:
    if not _SPEC.fullmatch(spec):
        raise ValueError
    return format(value, spec)


def _is(one: Any, other: Any) -> bool:
    if not any(each is None or isinstance(each, bool) for each in (one, other)):
        raise ValueError  # whether two constants are one object is not said in the source
    return one is other


class Expressions:
    """Evaluates expressions on one path.

    Args:
        path:
            The path.

    Attributes:
        path:
            The path.
        n_tries:
            How many ``try`` statements with handlers are around the present statement.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_tries = 0
        self._lifted: dict[int, Any] = {}

    def call_function(
        self, function: FunctionType | Closure, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Follow a call."""
        raise NotImplementedError

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

    def unknown(self) -> Unknown:
        """Return :data:`UNKNOWN`, the result of what may have raised an exception."""
        if self.n_tries and not self.path.doubt:
            self.path.doubt = "in a try block, after what may raise"
        return UNKNOWN

    def lift(self, value: Any) -> Any:
        """Return what an object in memory is; the same for the same object."""
        if id(value) not in self._lifted:
            self._lifted[id(value)] = lift(value)
        return self._lifted[id(value)]

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
        if isinstance(value, (tuple, ListValue, DictValue)) and not _is_blurred(value):
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

    # --- names ------------------------------------------------------------------------------

    def _Constant(self, node: ast.Constant, frame: Frame) -> Any:
        return lift(node.value)

    def _Name(self, node: ast.Name, frame: Frame) -> Any:
        return self.look_up(node.id, frame)

    def look_up(self, name: str, frame: Frame) -> Any:
        """Return the value of a name."""
        inner: Frame | None = frame
        while inner is not None:
            if name in inner.rebound:
                return self.unknown()
            if name in inner.names:
                return inner.names[name]
            if name in inner.own:
                return self.unknown()
            inner = inner.outer
        if name in frame.source.rebound:
            return self.unknown()
        function = frame.function
        free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        try:
            if name in free:
                value = free[name].cell_contents
            else:
                value = function.__globals__.get(name, getattr(builtins, name, UNKNOWN))
        except ValueError:  # not bound yet
            return UNKNOWN
        return self._unless_changed(name, self.lift(value), frame)

    def _unless_changed(self, name: str, value: Any, frame: Frame) -> Any:
        is_object = isinstance(value, (FunctionType, type, ModuleType, Object))
        return UNKNOWN if name in frame.source.changed and not is_object else value

    def _NamedExpr(self, node: ast.NamedExpr, frame: Frame) -> Any:
        while frame.outer is not None and not frame.own:  # out of comprehensions
            frame = frame.outer
        frame.names[node.target.id] = value = self.evaluate(node.value, frame)
        return value

    def _Attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        return self.attribute(self.path.now(self.evaluate(node.value, frame)), node.attr, frame)

    def attribute(self, owner: Any, name: str, frame: Frame) -> Any:
        """Return an attribute, without running a property."""
        if owner is TRIAL:
            return TrialMethod(name)
        if isinstance(owner, TrialMethod):
            return UNKNOWN
        if isinstance(owner, OfChoice) or type(owner) in (str, ListValue, DictValue):
            return Method(owner, name)
        if isinstance(owner, Object):
            if name in owner.attrs:
                return owner.attrs[name]
            return self._static(
                owner, owner.cls if owner.live is None else owner.live, frame, name
            )
        if isinstance(owner, (type, ModuleType)):
            return self._static(None, owner, frame, name)
        return self.unknown()

    def _static(self, bound_to: Object | None, holder: Any, frame: Frame, name: str) -> Any:
        try:
            found = inspect.getattr_static(holder, name)
        except AttributeError:
            return self.unknown()
        if isinstance(found, staticmethod):
            return found.__func__
        if isinstance(found, classmethod) and isinstance(found.__func__, FunctionType):
            owner = holder if isinstance(holder, type) else type(holder)
            return Method(owner, found.__func__)
        if isinstance(found, FunctionType):
            is_bound = bound_to is not None and name not in _own_attributes(bound_to)
            return Method(bound_to, found) if is_bound else found
        if inspect.getattr_static(type(found), "__get__", None) is not None:
            return self.unknown()  # a property
        return self._unless_changed(name, self.lift(found), frame)

    # --- operators --------------------------------------------------------------------------

    def _result(self, value: Any) -> Any:
        return self.unknown() if isinstance(value, Unknown) else value

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        """Return the result of a binary operator."""
        return self._result(self.path.apply(_OPERATORS.get(type(op), _fail), left, right))

    def _BinOp(self, node: ast.BinOp, frame: Frame) -> Any:
        left = self.evaluate(node.left, frame)
        return self.binary(node.op, left, self.evaluate(node.right, frame))

    def _UnaryOp(self, node: ast.UnaryOp, frame: Frame) -> Any:
        operation = _OPERATORS.get(type(node.op), operator.not_)
        return self._result(self.path.apply(operation, self.evaluate(node.operand, frame)))

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
                one = self.path.apply(_OPERATORS[type(op)], left, right)
            both: Callable[..., Any] = lambda a, b: a and b  # noqa: E731
            result = one if result is None else self.path.apply(both, result, one)
            left = right
        return self._result(result)

    def _IfExp(self, node: ast.IfExp, frame: Frame) -> Any:
        return self.evaluate(node.body if self.is_true(node.test, frame) else node.orelse, frame)

    def _JoinedStr(self, node: ast.JoinedStr, frame: Frame) -> Any:
        text: Any = ""
        for part in node.values:
            text = self.path.apply(operator.add, text, self.evaluate(part, frame))
        return self._result(text)

    def _FormattedValue(self, node: ast.FormattedValue, frame: Frame) -> Any:
        value = self.evaluate(node.value, frame)
        spec = "" if node.format_spec is None else self.evaluate(node.format_spec, frame)
        convert = {-1: None, 115: str, 114: repr, 97: ascii}[node.conversion]
        if convert is not None:
            value = self.path.apply(convert, value)
        return self.path.apply(_format_spec, value, spec)

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
        if is_item or (isinstance(container, DictValue) and _is_key(key)):
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
            return self._result(self.path.apply(_slice, container, *ends))
        return self.element(container, self.path.now(self.evaluate(node.slice, frame)))

    def element(self, container: Any, key: Any) -> Any:
        """Return an element; of a table of functions, the one on this path."""
        if type(container) not in (ListValue, DictValue, tuple) or _is_blurred(container):
            return self._result(self.path.apply(operator.getitem, container, key))
        values = container.values() if isinstance(container, DictValue) else container
        if isinstance(key, OfChoice) and all(type(each) in CONSTANTS for each in values):
            return self._result(self.path.apply(operator.getitem, container, key))
        key = self.path.settle(key)
        try:
            return container[key] if _is_key(key) else self.unknown()
        except (LookupError, TypeError):
            return self.unknown()

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

    # --- calls ------------------------------------------------------------------------------

    def _Call(self, node: ast.Call, frame: Frame) -> Any:
        function = self.path.now(self.evaluate(node.func, frame))
        name = function.function if isinstance(function, Method) else ""
        consumes = _is_one_of(function, _CONSUMERS) or name in ("join", "update", "extend")
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
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                blur(self.look_up(child.id, frame))
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
            blur(each)
        return UNKNOWN

    def _is_harmless(self, node: ast.Call) -> bool:
        name = ast.unparse(node.func).rpartition(".")[2]
        shown = ("print", "str", "repr", "id", "type", "isinstance", "debug", "info", "warning")
        return "Callback" in name or name in shown

    def _passed_to(self, node: ast.Call) -> str:
        return f"what {ast.unparse(node.func)[:60]} does with the trial ({line(node)})"

    def _call_builtin(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if _is_one_of(function, _PURE):
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
        if _is_one_of(function, _OF_ITEMS) and not any(each is None for each in lists):
            return UNKNOWN if kwargs else _OF_ITEMS[function](*lists)
        return UNKNOWN

    def _call_method(self, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a method of a container or of a string."""
        if isinstance(owner, (OfChoice, str)):
            if name == "format" and not kwargs:
                return self.path.apply(_format_new, owner, *args)
            if name in _TEXT_METHODS and not kwargs:
                return self.path.apply(partial(_text_method, name), owner, *args)
            return UNKNOWN
        if not _is_blurred(owner) and not (kwargs and name != "update"):
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
            if _is_key(key):
                return owner.get(key, args[1] if len(args) > 1 else None)
        return NotImplemented

    # --- the trial --------------------------------------------------------------------------

    def carries(self, value: Any, seen: frozenset[int] = frozenset()) -> bool:
        """Return whether the trial can be reached by a value."""
        if isinstance(value, (TrialValue, TrialMethod)):
            return not isinstance(value, TrialMethod) or value.name not in HARMLESS
        if id(value) in seen:
            return False
        seen = seen | {id(value)}
        if isinstance(value, Object):
            return any(self.carries(each, seen) for each in value.attrs.values())
        if isinstance(value, Method):
            return self.carries(value.owner, seen)
        if isinstance(value, Closure):
            return self.carries_into([value.node], value.frame, seen)
        if type(value) in (ListValue, tuple):
            return any(self.carries(each, seen) for each in value)
        if type(value) is DictValue:
            return any(self.carries(each, seen) for each in value.values())
        return False

    def carries_into(
        self, nodes: list[Any], frame: Frame, seen: frozenset[int] = frozenset()
    ) -> bool:
        """Return whether code may ask the trial for parameters, or pass it on."""
        for node in nodes:
            if isinstance(node, ast.Attribute):
                if node.attr.startswith("suggest"):
                    return True
                if isinstance(node.value, ast.Name) and node.attr in HARMLESS:
                    continue
            if isinstance(node, ast.Name):
                for name in _frames(frame, node.id):
                    if self.carries(name, seen):
                        return True
            elif self.carries_into(list(ast.iter_child_nodes(node)), frame, seen):
                return True
        return False


def _own_attributes(owner: Object) -> dict[str, Any]:
    try:
        return dict(object.__getattribute__(owner.live, "__dict__"))
    except AttributeError:
        return {}


def _frames(frame: Frame | None, name: str) -> list[Any]:
    while frame is not None:
        if name in frame.names:
            return [frame.names[name]]
        frame = frame.outer
    return []


def _slice(values: Any, *ends: Any) -> Any:
    return values[slice(*ends)]


def _text_method(name: str, text: str, *args: Any) -> Any:
    return getattr(str, name)(text, *args)


def _is_one_of(value: Any, group: Iterable[Any]) -> bool:
    """Compare by identity: classes may define how they are compared."""
    return any(value is each for each in group)


def _fail(*_: Any) -> Any:
    raise NotPlainError


def line(node: ast.AST) -> str:
    """Return where something stands, in words."""
    return f"line {getattr(node, 'lineno', 0)}"


def _is_key(value: Any) -> bool:
    try:
        hash(plain(value))
    except (NotPlainError, TypeError):
        return False
    return True


def _is_blurred(value: Any) -> bool:
    return isinstance(value, (ListValue, DictValue)) and value.blurred


def _is_object(value: Any) -> bool:
    return value is TRIAL or isinstance(
        value, (FunctionType, Closure, Object, ListValue, DictValue, tuple)
    )
