"""``optuna-llm prompt``: exactly what the next call would send. Sends nothing."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
from typing import Any

from .._advice.prepare import prepare
from ..errors import OptunaLLMError
from ..llms.base import Request
from ..llms.registry import resolve
from ..llms.style import as_style
from ..llms.style import style_of
from ..llms.style import STYLES
from .common import add_parser
from .common import add_study
from .common import bold
from .common import print_json
from .common import Problem
from .common import Subparsers
from .questions import add_sampler
from .questions import look_ahead
from .questions import sampler_of
from .storage import open_study


def add_prompt(commands: Subparsers) -> None:
    parser = add_parser(
        commands, "prompt", _run, "show what the next call would send; nothing is sent"
    )
    add_study(parser)
    add_sampler(parser)
    parser.add_argument("--llm", help="as for LLMSampler; says in which form it would be asked")
    parser.add_argument("--n-configs", type=int, default=8, help="as n_configs= (default: 8)")
    parser.add_argument("--seed", type=int, help="as seed= of the sampler")
    parser.add_argument(
        "--style", choices=tuple(STYLES), help="the form, instead of the model's own"
    )


def _run(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    arguments = {"n_configs": args.n_configs, "seed": args.seed}
    sampler = sampler_of(args, args.llm, **arguments)
    llm = _llm_of(sampler._settings.llm, args.style)
    style = as_style(args.style) if args.style else style_of(llm)
    ahead = look_ahead(study, sampler)
    redact = sampler._settings.redact
    request = prepare(ahead.question, style, timeout=ahead.timeout, redact=redact).request
    tokens, exact = count_tokens(llm, request)
    name = "" if llm is None else llm.name
    if args.json:
        counted = {"count": tokens, "exact": exact}
        shown = {"llm": name, "style": str(style), "tokens": counted}
        print_json({**shown, "request": asdict(request)})
        return 0
    counted_by = "counted by the model" if exact else "estimate: characters / 4"
    print(f"To {name or 'any model'}, asked as {style}, about {tokens:,} tokens ({counted_by}).")
    if not args.sampler and not args.task:
        print("There is no task in it; give yours by --task, or your own sampler by --sampler.")
    for title, text in _parts(request):
        print(f"\n{bold(f'--- {title}')}\n{text}")
    return 0


def _llm_of(llm: Any, style: str | None) -> Any:
    """Return the model, of which only the form is asked; with --style it is not needed."""
    try:
        return resolve(llm)[1]()
    except (OptunaLLMError, ValueError) as error:
        if style is not None:
            return None
        hint = getattr(error, "hint", "")
        raise Problem(str(error), f"{hint} Or name the form: --style json.") from error


def count_tokens(llm: Any, request: Request) -> tuple[int, bool]:
    """Return the number of tokens of a request, and whether the model itself counted them."""
    counter = getattr(llm, "count_tokens", None)
    if callable(counter):
        try:
            counted = counter(request)
        except OptunaLLMError:
            counted = None
        if isinstance(counted, int):
            return counted, True
    characters = sum(len(message["content"]) for message in request.messages)
    if request.schema is not None:
        characters += len(json.dumps(request.schema))
    return (characters + 3) // 4, False


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
