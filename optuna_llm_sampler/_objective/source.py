"""Find the syntax tree of a function that is in memory. Nothing is run."""

from __future__ import annotations
import __future__

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import linecache
from types import CodeType, FunctionType
from typing import Any, TypeAlias
import warnings


FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag

# Methods that change a list, a dictionary or a set.
_MUTATORS = (
    *("append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault"),
    *("popitem", "add", "discard", "sort", "reverse"),
)
# With these, a function can change what it names in a string.
_BY_NAME = ("globals", "setattr", "delattr", "vars", "object.__setattr__")
_CONSTRUCTORS = ("__init__", "__post_init__", "__new__")


@dataclass(frozen=True)
class Source:
    """One file or notebook cell."""

    functions: tuple[FunctionNode, ...]
    codes: tuple[CodeType, ...]  # all that it compiles to
    # Names, and attributes with a dot before them, whose values some function changes, other than
    # in a constructor. Their present value says nothing of that in a trial.
    changed: frozenset[str]
    rebound: frozenset[str]  # names that some function declares as global or nonlocal


class Sources:
    """Reads and parses each file once."""

    def __init__(self) -> None:
        self._read: dict[str, Source | None] = {}

    def find(self, function: FunctionType) -> tuple[FunctionNode, Source] | None:
        """Return the syntax tree and the file of a function, if that is certainly what runs."""
        code = function.__code__
        if code.co_filename not in self._read:
            lines = linecache.getlines(code.co_filename, function.__globals__)
            self._read[code.co_filename] = _parse("".join(lines), code)
        source = self._read[code.co_filename]
        # A file that was edited after its import compiles to something else.
        if source is None or code not in source.codes:
            return None
        key = code.co_name, code.co_firstlineno
        found = [node for node in source.functions if _key(node) == key]
        return (found[0], source) if len(found) == 1 else None  # two lambdas in one line


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
    return Source(
        functions=tuple(functions),
        codes=tuple(_codes(module)),
        changed=frozenset(name for node in functions for name in _changes(node)),
        rebound=rebound_names(tree),
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _key(node: FunctionNode) -> tuple[str, int]:
    """Return the name and the line that a function's code has."""
    if isinstance(node, ast.Lambda):
        return "<lambda>", node.lineno
    return node.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _changes(function: FunctionNode) -> Iterator[str]:
    """Yield the names that a function changes in place, and attributes with a dot before."""
    if getattr(function, "name", "") in _CONSTRUCTORS:
        return
    nodes = list(nodes_of(ast.iter_child_nodes(function)))
    for node in nodes:
        is_set = not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if isinstance(node, ast.Attribute) and (is_set or node.attr in _MUTATORS):
            yield from _parts(node if is_set else node.value)
        elif isinstance(node, ast.Subscript) and is_set:
            yield from _parts(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _BY_NAME:
            for each in nodes:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield from (each.value, f".{each.value}")


def _parts(node: ast.expr) -> Iterator[str]:
    """Yield what is changed with an element of it: ``x``, ``.a`` and ``.b`` of ``x.a[0].b``."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Attribute):
            yield f".{node.attr}"
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


# --- parts of a syntax tree -----------------------------------------------------------------


def nodes_of(trees: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Walk syntax trees, without the functions nested in them."""
    stack = list(trees)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            stack.extend(ast.iter_child_nodes(node))


def rebound_names(tree: ast.AST) -> frozenset[str]:
    """Return the names that are declared as ``global`` or ``nonlocal`` anywhere in some code."""
    kinds = (ast.Global, ast.Nonlocal)
    return frozenset(n for each in ast.walk(tree) if isinstance(each, kinds) for n in each.names)


def loaded_names(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that are read anywhere in some code."""
    every = (each for tree in trees for each in ast.walk(tree))
    return {n.id for n in every if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def stored_names(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that are bound anywhere in some code."""
    found: set[Any] = set()
    for node in (each for tree in trees for each in ast.walk(tree)):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        else:  # functions, classes, handlers and patterns
            found.add(getattr(node, "name", None))
    return {name for name in found if isinstance(name, str)}
