"""The question that the sampler would ask next, built by the sampler's own code."""

from __future__ import annotations

import argparse
from dataclasses import replace
from importlib import import_module
import json
import os
from pathlib import Path
import sys
from typing import Any
from typing import TYPE_CHECKING

from .._sampler.sampler import LLMSampler
from .._sampler.session import NextQuestion
from .._text import plain
from .common import BAD_STUDY
from .common import Problem


if TYPE_CHECKING:
    from optuna.study import Study


def add_sampler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="", help="as task= of the sampler")
    parser.add_argument(
        "--param-notes",
        type=Path,
        metavar="FILE",
        help="JSON object of notes by parameter, as param_notes= of the sampler",
    )
    parser.add_argument(
        "--sampler",
        metavar="MODULE:NAME",
        help="your own LLMSampler, or a function that returns it; imports (runs) MODULE",
    )


def sampler_of(args: argparse.Namespace, llm: Any, **arguments: Any) -> LLMSampler:
    """Return the sampler to ask: the user's own, or one made from the command's arguments.

    Raises:
        Problem: There is no such sampler or file of notes.
    """
    if args.sampler:
        return _imported(args.sampler)
    try:
        notes = _notes(args.param_notes)
        return LLMSampler(llm, task=args.task, param_notes=notes, **arguments)
    except ValueError as error:
        raise Problem(str(error)) from error


def look_ahead(study: Study, sampler: LLMSampler, n: int | None = None) -> NextQuestion:
    """Return the next question.

    Args:
        study:
            The study.
        sampler:
            Whose question it is.
        n:
            Number of configurations to ask for. :obj:`None`: what the sampler asks for.

    Raises:
        Problem: The parameters are not known yet.
    """
    ahead = sampler._session(study).next_question()
    if not ahead.question.space:
        raise Problem(
            "The parameters are not known yet: no trial of this study has finished.",
            "Run one trial first, or give search_space= to the sampler and name it by --sampler.",
            BAD_STUDY,
        )
    if n is None:
        return ahead
    return replace(ahead, question=replace(ahead.question, n_configs=n))


def _notes(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{plain(path)} cannot be read: {error}.") from error
    if not isinstance(notes, dict):
        raise Problem(f"{plain(path)} must hold a JSON object: notes by parameter.")
    return {str(name): str(note) for name, note in notes.items()}


def _imported(text: str) -> LLMSampler:
    module, _, name = text.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(import_module(module), name)
        sampler = found() if callable(found) else found
    except Exception as error:  # the user's own code may fail in any way
        raise Problem(f"--sampler {plain(text)} cannot be had: {plain(repr(error))}.") from error
    if not isinstance(sampler, LLMSampler):
        raise Problem(f"--sampler {plain(text)} is no LLMSampler but {type(sampler).__name__}.")
    return sampler
