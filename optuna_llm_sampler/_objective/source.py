"""Find the syntax tree of a function that is in memory. Nothing is run."""

from __future__ import annotations
import __future__

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import linecache
from types import CodeType, FunctionType
from typing import TypeAlias
import warnings


FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag

# Methods that change a list, a dictionary or a set.
MUTATORS = (
    *("append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault"),
    *("popitem", "add", "discard", "sort", "reverse"),
)
# With these, a function can change what it names in a string.
_BY_NAME = ("globals", "setattr", "delattr", "vars", "object.__setattr__")


@dataclass(frozen=True)
class Source:
    """One file or notebook cell.

    Attributes:
        functions:
            All functions and lambdas in it.
        codes:
            All that it compiles to.
        changed_names:
            Names whose values some function changes in place, other than in ``__init__``. Their
            present value says nothing of the value in a trial.
        changed_globals:
            Those that the function does not bind itself.
        changed_attributes:
            Attributes that some function sets or changes in place.
        rebound:
            Names that some function declares as ``global`` or ``nonlocal``.
    """

    functions: tuple[FunctionNode, ...]
    codes: tuple[CodeType, ...]
    changed_names: frozenset[str]
    changed_globals: frozenset[str]
    changed_attributes: frozenset[str]
    rebound: frozenset[str]


class Sources:
    """Reads and parses each file once."""

    def __init__(self) -> None:
        self._read: dict[str, Source | None] = {}

    def of(self, function: FunctionType) -> Source | None:
        """Return the file that a function is from, :obj:`None` if there is no readable source."""
        code = function.__code__
        if code.co_filename not in self._read:
            lines = linecache.getlines(code.co_filename, function.__globals__)
            self._read[code.co_filename] = _parse("".join(lines), code)
        return self._read[code.co_filename]

    def node(self, function: FunctionType) -> FunctionNode | None:
        """Return a function's syntax tree if that is certainly what would run."""
        source, code = self.of(function), function.__code__
        # A file that was edited after its import compiles to something else.
        if source is None or code not in source.codes:
            return None
        found = [node for node in source.functions if _stands_at(node) == _key(code)]
        return found[0] if len(found) == 1 else None  # two lambdas in one line


def _parse(text: str, code: CodeType) -> Source | None:
    try:
        with warnings.catch_warnings():  # they were shown when the file was imported
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            flags = code.co_flags & _FUTURE
            module = compile(text, code.co_filename, "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    nested = {each for node in functions for each in ast.walk(node) if each is not node}
    outermost = [node for node in functions if node not in nested]
    changes = {each for node in outermost for each in _changes(node)}
    return Source(
        functions=tuple(functions),
        codes=tuple(_codes(module)),
        changed_names=frozenset(name for kind, name in changes if kind == "name"),
        changed_globals=frozenset(
            name
            for node in outermost
            for name in {name for kind, name in _changes(node) if kind == "name"} - _bound(node)
        ),
        changed_attributes=frozenset(name for kind, name in changes if kind == "attribute"),
        rebound=rebound_names(tree),
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


def _stands_at(node: FunctionNode) -> tuple[str, int]:
    if isinstance(node, ast.Lambda):
        return "<lambda>", node.lineno
    return node.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _changes(function: FunctionNode) -> Iterator[tuple[str, str]]:
    """Yield what a function changes: a kind, ``"name"`` or ``"attribute"``, and its name."""
    if getattr(function, "name", "") in ("__init__", "__post_init__", "__new__"):
        return
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            if not isinstance(node.ctx, ast.Load):
                yield "attribute", node.attr
            elif node.attr in MUTATORS:
                yield from _parts(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _BY_NAME:
            yield from _strings(function)
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield from _parts(node.value)


def _strings(function: FunctionNode) -> Iterator[tuple[str, str]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield "name", node.value
            yield "attribute", node.value


def _parts(node: ast.expr) -> Iterator[tuple[str, str]]:
    """Yield what is changed with an element of it: ``x``, ``a`` and ``b`` of ``x.a[0].b``."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Attribute):
            yield "attribute", node.attr
        node = node.value
    if isinstance(node, ast.Name):
        yield "name", node.id


def _bound(function: FunctionNode) -> set[str]:
    """Return the names that a function and those in it bind."""
    inner = [node for node in ast.walk(function) if isinstance(node, FUNCTIONS)]
    return stored_names([function]).union(*map(parameters, inner))


def rebound_names(node: ast.AST) -> frozenset[str]:
    """Return the names that are declared as ``global`` or ``nonlocal`` anywhere in it."""
    kinds = (ast.Global, ast.Nonlocal)
    return frozenset(n for each in ast.walk(node) if isinstance(each, kinds) for n in each.names)


def parameters(node: FunctionNode) -> list[str]:
    """Return the names of all parameters of a function."""
    args = node.args
    each = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return [arg.arg for arg in (*each, *filter(None, (args.vararg, args.kwarg)))]


def loaded_names(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the names that are read anywhere in some code."""
    every = (each for node in nodes for each in ast.walk(node))
    return {n.id for n in every if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def stored_names(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the names that are bound anywhere in some statements."""
    found: set[str] = set()
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)):
                found.add(node.name or "")
            elif isinstance(node, ast.MatchMapping):
                found.add(node.rest or "")
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
    return found - {""}
