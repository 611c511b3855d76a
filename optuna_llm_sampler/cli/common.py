"""What the commands share: arguments, errors as one line, the model, and output."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
import json
from operator import attrgetter
import os
import sys
from typing import Any, TYPE_CHECKING, TypeAlias

import optuna

from .._sampler import progress as _progress
from .._store.prices import Price
from .._text import plain
from ..errors import OptunaLLMError
from ..llms.base import LLM
from ..llms.registry import resolve


if TYPE_CHECKING:
    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subparsers = Any


class Problem(Exception):
    """An error of a command: one line and a hint.

    Attributes:
        code:
            The exit code. 0 is success; 2 is argparse's, for wrong arguments.
    """

    code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class StudyProblem(Problem):
    """The storage or the study cannot be used."""

    code = 3


def add_parser(
    commands: Subparsers, name: str, run: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    """Add a command whose errors are one line on stderr and, with --json, an object."""
    description = f"{help[0].upper()}{help[1:]}."
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog="Exit codes: 0 success, 1 no model or no usable answer, 2 wrong arguments, "
        "3 no such study or storage.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=lambda args: guarded(run, args))
    return parser


def add_study(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument(
        "--storage",
        required=required,
        help="URL as for Optuna (sqlite:///study.db, postgresql://...), or the path of a SQLite "
        "or journal file",
    )
    parser.add_argument("--study", help="name of the study; not needed if there is only one")


def add_model(parser: argparse.ArgumentParser, *, timeout: float) -> None:
    parser.add_argument(
        "--llm",
        help="openai/MODEL, another PROVIDER/MODEL, azure/DEPLOYMENT, local, local/NAME or "
        "local/PATH.gguf; default: the model of LLMSampler()",
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=timeout,
        metavar="SECONDS",
        help=f"longest duration of a call (default: {timeout:g})",
    )


def add_price(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--price",
        type=_price,
        metavar="IN,OUT",
        help="price of the model in USD per million tokens sent and received, such as 0.25,2; "
        "default: the price that is known",
    )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return value


def _price(text: str) -> Price:
    numbers = [float(part) for part in text.split(",")]
    if not 2 <= len(numbers) <= 3 or any(not 0 <= n < 1e9 for n in numbers):
        raise ValueError
    return Price(*numbers)


_price.__name__ = _positive.__name__ = "number"


def guarded(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command; write an error as one line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without "×" shows "?"
            stream.reconfigure(errors="replace")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return run(args)
    except Problem as problem:
        return _fail(str(problem), problem.hint, problem.code, as_json=args.json)
    except OptunaLLMError as error:
        return _fail(str(error), error.hint, Problem.code, as_json=args.json)
    except BrokenPipeError:  # the reader, such as head or less, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        optuna.logging.set_verbosity(verbosity)


def _fail(message: str, hint: str, code: int, *, as_json: bool) -> int:
    end = "" if message.endswith((".", "!", "?")) else "."
    line = " ".join(f"{message}{end} {hint}".split())
    print(f"optuna-llm: {line}", file=sys.stderr)
    if as_json:
        print_json({"error": message, "hint": hint})
    return code


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def bold(text: str) -> str:
    return styled(text, "1")


def styled(text: str, code: str) -> str:
    """Colour a text on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


@contextmanager
def waiting(what: str, at_most: float) -> Iterator[None]:
    """Show on a terminal what the command waits for, and for how long at most, in seconds."""
    if not sys.stderr.isatty():
        yield
        return
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        with _progress.waiting(what, at_most):
            yield
    finally:
        optuna.logging.set_verbosity(before)


def imported(option: str, text: str, problem: type[Problem] = Problem) -> Any:
    """Return what ``MODULE:NAME`` names; import the module, or raise the problem."""
    module, _, name = text.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        return attrgetter(name)(import_module(module))
    except Exception as error:  # the user's own code may fail in any way
        reason = plain(repr(error))
        raise problem(f"{option} {plain(text)} cannot be imported: {reason}.") from error


def checked_llm(llm: str | LLM | None) -> LLM:
    """Return the model that ``--llm`` names.

    Raises:
        Problem: There is no such model, or its weights are not on this machine yet.
    """
    try:
        _, build = resolve(llm)
        model = build()
    except ValueError as error:
        raise Problem(str(error)) from error
    if missing := missing_weights(model):
        name, size = missing
        raise Problem(
            f"The weights {name} ({size:,} MB) are not on this machine.",
            f"Run: optuna-llm pull {name}",
        )
    return model


def missing_weights(llm: LLM) -> tuple[str, int] | None:
    """Return name and size in MB of the weights that a model would download first."""
    from ..llms.local.client import LocalLLM
    from ..llms.local.weights import cache_folder, MODELS

    if not isinstance(llm, LocalLLM) or llm.model not in MODELS:
        return None
    weights = MODELS[llm.model]
    # Only the name is looked up: hashing a gigabyte would take seconds.
    if (cache_folder() / weights.file).is_file():
        return None
    return weights.name, round(weights.size / 1e6)
