"""The command ``optuna-llm``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import sys
from typing import NoReturn

import optuna_llm_sampler

from ..errors import OptunaLLMError
from .common import Problem, Subparsers
from .doctor import add_doctor
from .prompt import add_prompt
from .report import add_explain, add_report
from .space import add_space
from .suggest import add_suggest


_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, by default with the arguments of the process.

    Returns:
        The exit code: 0, or another one after one line on stderr that says what is wrong. Wrong
        arguments end the process with 2, as argparse does.
    """
    args = _parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except OptunaLLMError as error:
        print(f"optuna-llm: {error} {error.hint}".rstrip(), file=sys.stderr)
        return Problem.code
    except KeyboardInterrupt:
        return _INTERRUPTED


class _Version(argparse.Action):
    """Like argparse's own, but looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"optuna-llm-sampler {optuna_llm_sampler.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="optuna-llm", description="Tools around optuna-llm-sampler."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    own = (add_doctor, add_space, add_prompt, add_suggest, add_report, add_explain)
    for add in (_add_pull, *own):
        add(commands)
    return parser


def _add_pull(commands: Subparsers) -> None:
    from ..llms.local.weights import DEFAULT, MODELS

    models = "; ".join(f"{w.name} ({w.size / 1e6:,.0f} MB)" for w in MODELS.values())
    pull = commands.add_parser(
        "pull",
        help="download the local model's weights",
        description=f"Download the local model's weights and print their path. Models: {models}. "
        "The folder is OPTUNA_LLM_CACHE or the user's cache folder.",
    )
    pull.add_argument(
        "name", nargs="?", default=DEFAULT, choices=sorted(MODELS), help=f"default: {DEFAULT}"
    )
    pull.set_defaults(run=_pull)


def _pull(args: argparse.Namespace) -> int:
    from ..llms.local.weights import pull

    print(pull(args.name))
    return 0
