"""What the commands share: arguments, exit codes, errors as one line, colours, JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import os
import sys
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeAlias

import optuna

from .._store.prices import Price
from ..errors import OptunaLLMError


if TYPE_CHECKING:
    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subparsers = Any

# 0: fine. 2 is argparse's: the arguments make no sense.
BAD_MODEL = 1
BAD_STUDY = 3


class Problem(Exception):
    """What ends a command: one line, what to do about it, and the exit code."""

    def __init__(self, message: str, hint: str = "", code: int = BAD_MODEL) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def add_parser(
    commands: Subparsers, name: str, run: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    """Add a command whose errors are one line on stderr (and, with --json, an object)."""
    description = f"{help[0].upper()}{help[1:]}."
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog="Exit codes: 0 fine, 1 no model or no usable answer, 2 wrong arguments, 3 no such "
        "study or storage.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    parser.set_defaults(run=lambda args: guarded(run, args))
    return parser


def add_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        required=True,
        help="URL as for Optuna (sqlite:///study.db, postgresql://...), or the path of a SQLite "
        "or journal file",
    )
    parser.add_argument("--study", help="name of the study; not needed if there is only one")


def add_model(parser: argparse.ArgumentParser, *, timeout: float) -> None:
    parser.add_argument(
        "--llm",
        help="openai/MODEL, azure/DEPLOYMENT, local, local/NAME or local/PATH.gguf; default: as "
        "for LLMSampler",
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=timeout,
        metavar="SECONDS",
        help=f"longest time for a call (default: {timeout:g})",
    )


def add_price(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--price",
        type=_price,
        metavar="IN,OUT",
        help="what the model costs, in USD per million tokens sent and received: 0.25,2; "
        "default: what is known of OpenAI's models",
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
    """Run a command; what is wrong with its surroundings is one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no "×" gets a "?"
            stream.reconfigure(errors="replace")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return run(args)
    except Problem as problem:
        return _fail(str(problem), problem.hint, problem.code, as_json=args.json)
    except OptunaLLMError as error:
        return _fail(str(error), error.hint, BAD_MODEL, as_json=args.json)
    except BrokenPipeError:  # the reader (head, less) has seen enough
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
    """Colour a text on a terminal, unless the user wants none (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
