"""The order of the package: what imports what, how much stands in a folder, what is public."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
import inspect
from pathlib import Path
import re
import subprocess
from types import ModuleType

import pytest


ROOT = Path(__file__).parents[1]
PACKAGE = "optuna_llm_sampler"
# From the lowest to the highest: each imports from those before it only. "" is the package itself.
LAYERS = (
    "errors",
    "_text",
    "_study",
    "_objective",
    "llms",
    "testing",
    "_advice",
    "_proposal",
    "_store",
    "_policy",
    "_sampler",
    "report",
    "visualization",
    "",
    "cli",
)
MAX_MODULES = 14
PUBLIC = {
    PACKAGE: [
        "AzureOpenAI",
        "Budget",
        "CallHook",
        "CallRecord",
        "calls",
        "DefaultBaseSampler",
        "LLMSampler",
        "LocalLLM",
        "ObjectiveSpace",
        "OpenAI",
        "Price",
        "propose_space",
        "ProposedSpace",
        "record_failures",
        "Recorder",
        "Replay",
        "review_space",
        "search_space_of",
        "TransformersLLM",
        "Usage",
        "usage",
    ],
    f"{PACKAGE}.errors": [
        "AuthenticationError",
        "BadRequestError",
        "CallTimeoutError",
        "ConnectionFailedError",
        "ContradictionError",
        "LLMError",
        "MissingExtraError",
        "ModelNotFoundError",
        "NamelessError",
        "need",
        "OptunaLLMError",
        "RateLimitError",
        "RecordError",
        "RedactionError",
        "RefusalError",
        "ReplayMissError",
        "ServerError",
        "TokenUsage",
        "TooSmallError",
        "TruncatedError",
        "TurnedOffError",
        "UnusableAnswerError",
        "WeightsError",
    ],
    f"{PACKAGE}.llms": [
        "CODE",
        "Completion",
        "JSON",
        "LLM",
        "Message",
        "Request",
        "SCRIPT",
        "Style",
        "TokenUsage",
    ],
    f"{PACKAGE}.testing": ["FakeLLM"],
    f"{PACKAGE}.visualization": [
        "is_available",
        "LLMNoteCallback",
        "matplotlib",
        "plot_advice",
        "plot_front",
        "plot_llm_usage",
        "plot_sources",
        "save_plots",
        "write_note",
    ],
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / PACKAGE).rglob("*.py"))
}


# --- imports --------------------------------------------------------------------------------


def imports(name: str, *, types: bool) -> set[str]:
    """Return the modules of the package that one imports, inside its functions, too.

    Args:
        name:
            The module.
        types:
            Whether what only type checkers import counts.
    """
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    found: set[str] = set()
    for node in _nodes(tree, types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & MODULES.keys()
        elif isinstance(node, ast.ImportFrom):
            base = _base(name, node)
            if base in MODULES:
                found |= {
                    each if (each := f"{base}.{alias.name}") in MODULES else base
                    for alias in node.names
                }
    return found - {name}


def _nodes(node: ast.AST, types: bool) -> Iterator[ast.AST]:
    """Walk a tree, but for its ``if TYPE_CHECKING:`` unless types count."""
    yield node
    hidden = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in ast.iter_child_nodes(node) if types or not hidden else ():
        yield from _nodes(child, types)


def _base(name: str, node: ast.ImportFrom) -> str:
    """Return the full name of what stands between ``from`` and ``import``."""
    if not node.level:
        return str(node.module)
    is_package = MODULES[name].stem == "__init__"
    parents = name.split(".")
    parents = parents[: len(parents) - node.level + is_package]
    return ".".join([*parents, *([node.module] if node.module else [])])


def layer(name: str) -> int:
    return LAYERS.index(name.partition(".")[2].partition(".")[0])


def test_imports_go_down() -> None:
    up = [
        f"{name} <- {each}"
        for name in MODULES
        for each in sorted(imports(name, types=True))
        if layer(each) > layer(name)
    ]
    assert not up


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: imports(name, types=False) for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(reversed(error.args[1]))}")


# --- folders --------------------------------------------------------------------------------


def entries(folder: Path) -> list[str]:
    """Return the names of modules and packages in a folder, but for ``__init__``."""
    return sorted(
        path.stem
        for path in folder.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    )


def test_no_folder_is_crowded() -> None:
    found = {folder: entries(folder) for folder in {path.parent for path in MODULES.values()}}
    assert not {folder: names for folder, names in found.items() if len(names) > MAX_MODULES}


def test_every_entry_at_the_top_has_its_layer() -> None:
    assert entries(ROOT / PACKAGE) == sorted(filter(None, LAYERS))


# --- names ----------------------------------------------------------------------------------


def public(module: ModuleType) -> list[str]:
    """Return the public names of a module: ``__all__``, or what is defined there."""
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return list(vars(module).get("__all__", sorted(defined, key=str.casefold)))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_these_and_sorted(name: str) -> None:
    assert public(import_module(name)) == PUBLIC[name]
    assert PUBLIC[name] == sorted(PUBLIC[name], key=str.casefold)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_a_docstring(name: str) -> None:
    module = import_module(name)
    values = {each: getattr(module, each) for each in PUBLIC[name]}
    assert inspect.getdoc(module)
    assert not [
        each
        for each, value in values.items()
        if (callable(value) or inspect.ismodule(value)) and not value.__doc__
    ]


def test_nothing_committed_names_a_folder_of_somebodys_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    files = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    somebodys = re.compile(r"(?<![\w.:/])/(work|root|home|Users|opt)/[\w.-]+")
    found = {
        f"{name}: {match[0]}"
        for name in filter(None, files)
        if (path := ROOT / name).is_file()
        for match in somebodys.finditer(path.read_text("utf-8", errors="replace"))
    }
    assert not found
