"""``optuna-llm prompt``: print exactly what the next call would send. Sends nothing."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from .._advice.call import estimate
from .._advice.prepare import prepare
from .._sampler.sampler import LLMSampler
from .._sampler.session import NextQuestion
from .._text import plain
from ..errors import OptunaLLMError
from ..llms.base import Request
from ..llms.registry import resolve
from ..llms.style import as_style, style_of, STYLES
from . import common
from .storage import open_study


if TYPE_CHECKING:
    from optuna.study import Study


def add_prompt(commands: common.Subparsers) -> None:
    parser = common.add_parser(
        commands, "prompt", _run, "print what the next call would send; sends nothing"
    )
    common.add_study(parser)
    add_sampler(parser)
    parser.add_argument(
        "--llm",
        help="the model that would be asked; default: the model of LLMSampler()",
    )
    parser.add_argument(
        "--n-configs",
        type=int,
        help="number of configurations, as LLMSampler(n_configs=...)",
    )
    parser.add_argument("--seed", type=int, help="as LLMSampler(seed=...)")
    parser.add_argument(
        "--style",
        choices=tuple(STYLES),
        help="the form of the request, instead of the model's own",
    )


def _run(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    arguments = {"n_configs": args.n_configs, "seed": args.seed}
    sampler = sampler_of(args, args.llm, **arguments)
    asked = next_question(study, sampler)
    llm = _llm_of(asked.llm, args.style)
    style = as_style(args.style) if args.style else style_of(llm)
    request = prepare(asked.question, style, timeout=asked.timeout, redact=asked.redact).request
    tokens = estimate(request).input_tokens or 0
    name = "" if llm is None else llm.name
    if args.json:
        counted = {"count": tokens, "exact": False}  # no back end counts them
        shown = {"llm": name, "style": str(style), "tokens": counted}
        common.print_json({**shown, "request": asdict(request)})
        return 0
    print(f"To {name or 'any model'}, as {style}: about {tokens:,} tokens (estimate: bytes / 3).")
    if not args.sampler and not args.task:
        print("It describes no task: use --task, or --sampler for your own sampler.")
    for title, text in _parts(request):
        print(f"\n{common.bold(f'--- {title}')}\n{text}")
    return 0


def _llm_of(llm: Any, style: str | None) -> Any:
    """Return the model; with --style, :obj:`None` if there is none."""
    try:
        return resolve(llm)[1]()
    except (OptunaLLMError, ValueError) as error:
        if style is not None:
            return None
        hint = getattr(error, "hint", "")
        raise common.Problem(str(error), f"{hint} Or choose the form: --style json.") from error


def _parts(request: Request) -> list[tuple[str, str]]:
    options = {
        "answers": request.n,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    words = ", ".join(f"{k}: {v}" for k, v in options.items() if v is not None)
    parts: list[tuple[str, str]] = [(m["role"], m["content"]) for m in request.messages]
    parts.append(("options", words))
    if request.schema is not None:
        parts.append(("JSON schema of the answer", json.dumps(request.schema)))
    if request.grammar is not None:
        parts.append(("grammar of the answer (for models on this machine)", request.grammar))
    return parts


# --- the next question, which ``suggest`` asks ---------------------------------------------------


def add_sampler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="", help="what is tuned, as LLMSampler(task=...)")
    parser.add_argument(
        "--param-notes",
        type=Path,
        metavar="FILE",
        help="JSON object of notes by parameter, as LLMSampler(param_notes=...)",
    )
    parser.add_argument(
        "--sampler",
        metavar="MODULE:NAME",
        help="your own LLMSampler, or a function that returns it; MODULE is imported, so it runs",
    )


def sampler_of(args: argparse.Namespace, llm: Any, **arguments: Any) -> LLMSampler:
    """Return the user's own sampler, or one made from the command's arguments.

    Raises:
        Problem: There is no such sampler or file of notes.
    """
    if args.sampler:
        return _imported(args.sampler)
    try:
        notes = _notes(args.param_notes)
        return LLMSampler(llm, task=args.task, param_notes=notes, **arguments)
    except ValueError as error:
        raise common.Problem(str(error)) from error


def next_question(study: Study, sampler: LLMSampler, n: int | None = None) -> NextQuestion:
    """Return the question that a sampler would ask next; for ``n`` configurations if given.

    Raises:
        StudyProblem: The parameters are not known yet.
    """
    found = sampler._session(study).next_question()
    if not found.question.space:
        raise common.StudyProblem(
            "The parameters are not known yet: no trial of this study has finished.",
            "Run one trial first, or use --sampler with a sampler that has search_space=.",
        )
    if n is None:
        return found
    return replace(found, question=replace(found.question, n_configs=n))


def _notes(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise common.Problem(f"{plain(path)} cannot be read: {error}.") from error
    if not isinstance(notes, dict):
        raise common.Problem(f"{plain(path)} is not a JSON object of notes by parameter.")
    return {str(name): str(note) for name, note in notes.items()}


def _imported(text: str) -> LLMSampler:
    found = common.imported("--sampler", text)
    try:
        sampler = found() if callable(found) else found
    except Exception as error:  # the user's own code may fail in any way
        raise common.Problem(f"--sampler {plain(text)} failed: {plain(repr(error))}.") from error
    if not isinstance(sampler, LLMSampler):
        raise common.Problem(
            f"--sampler {plain(text)} is not an LLMSampler but {type(sampler).__name__}."
        )
    return sampler
