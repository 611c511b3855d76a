"""``optuna-llm doctor``: check that the model answers, what it can do, and what a call costs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
import json
import time
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._advice.ask import ask
from .._advice.call import Call
from .._advice.question import Question
from .._store.prices import cost_of, Price
from .._study.summary import StudySummary
from .._text import count, plain, plural
from ..errors import OptunaLLMError
from ..llms.base import LLM, Request
from ..llms.openai.endpoint import Endpoint
from ..llms.providers import AZURE, OPENAI, OutputMode, PROVIDERS
from ..llms.registry import resolve
from ..report.text import counts_text, usd
from . import common
from .suggest import params_line


_SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-6, 1e-1, log=True),
    "batch_size": IntDistribution(8, 256, log=True),
    "optimizer": CategoricalDistribution(["sgd", "adam", "adamw"]),
}
_TASK = "Fine-tune a small BERT on 10,000 labelled customer queries; the score is accuracy."
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str  # what was checked
    ok: bool | None  # whether it works; None for information only
    detail: str  # what was found
    hint: str = ""  # how to repair it


def add_doctor(commands: common.Subparsers) -> None:
    parser = common.add_parser(
        commands, "doctor", _run, "check that the model answers, and what a call costs"
    )
    common.add_model(parser, timeout=120)
    common.add_price(parser)


def _run(args: argparse.Namespace) -> int:
    found = []
    for check in _checks(args.llm, args.timeout, args.price):
        found.append(check)
        if not args.json:
            _show(check)
    healthy = all(check.ok is not False for check in found)
    if args.json:
        common.print_json({"ok": healthy, "checks": [asdict(check) for check in found]})
    return 0 if healthy else common.Problem.code


def _show(check: Check) -> None:
    mark, color = {True: ("ok", "32"), False: ("FAILED", "31"), None: ("-", "33")}[check.ok]
    print(f"{common.styled(f'{mark:6}', color)}  {check.name}: {check.detail}", flush=True)
    if check.hint:
        print(f"        {check.hint}")


def _keys() -> Check:
    """Say which providers can be asked, by the names of their keys and never the keys."""
    rows = [row for row in (OPENAI, AZURE, *PROVIDERS.values()) if row.needs_key]
    found = [f"{row.prefix} ({row.key_variable})" for row in rows if row.key()]
    others = [f"{row.prefix} ({row.key_variable})" for row in rows if not row.key()]
    free = [row.prefix for row in PROVIDERS.values() if not row.needs_key]
    said = {"key set": found, "no key": others, "needs none": [*free, "local", "hf"]}
    parts = [f"{words}: {', '.join(names)}" for words, names in said.items() if names]
    return Check("providers", None, "; ".join(parts))


def _checks(name: str | None, timeout: float, price: Price | None) -> Iterator[Check]:
    yield _keys()
    try:
        why, build = resolve(name)
        llm = build()
    except (OptunaLLMError, ValueError) as error:
        yield Check("model", False, str(error), getattr(error, "hint", ""))
        return
    yield Check("model", True, f"{llm.name} ({why})")
    if missing := common.missing_weights(llm):
        weights, size = missing
        hint = f"Run: optuna-llm pull {weights}"
        yield Check("weights", False, f"{weights} ({size:,} MB) is not on this machine", hint)
        return
    text = _probe(llm, "text", Request(_ask_for("the word ready"), max_tokens=500), timeout)
    yield text
    if not text.ok:
        return
    yield from _structured(llm, timeout)
    yield from _proposal(llm, timeout, price)


def _ask_for(what: str) -> Any:
    return ({"role": "user", "content": f"Answer with {what} and nothing else."},)


def _probe(llm: LLM, name: str, request: Request, timeout: float) -> Check:
    start = time.monotonic()
    try:
        with common.waiting(f"{llm.name} ({name})", timeout):
            completion = llm.complete(replace(request, timeout=timeout))
    except OptunaLLMError as error:
        return Check(name, False, str(error), error.hint)
    seconds = time.monotonic() - start
    said = plain(completion.texts[0], 60)
    if request.schema is not None and not _is_object(completion.texts[0]):
        return Check(name, None, f"no JSON object but {said!r}, in {seconds:.1f} s")
    return Check(name, True, f"{said!r} in {seconds:.1f} s")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _structured(llm: LLM, timeout: float) -> Iterator[Check]:
    """Try a JSON schema, and for endpoints also JSON mode."""
    request = Request(_ask_for('{"ready": true}'), schema=_SCHEMA, max_tokens=500)
    if not isinstance(llm, Endpoint):
        yield _probe(llm, "JSON schema", request, timeout)
        return
    modes: dict[OutputMode, str] = {"json_object": "JSON mode", "json_schema": "JSON schema"}
    for mode, name in modes.items():
        with llm.asked_for(mode) as is_refused:
            check = _probe(llm, name, request, timeout)
            missing = check.ok and is_refused()
        yield replace(check, ok=None, detail="not offered") if missing else check


def _proposal(llm: LLM, timeout: float, price: Price | None) -> Iterator[Check]:
    question = Question(
        _SPACE, StudySummary(("maximize",), ("accuracy",)), task=_TASK, n_configs=8
    )
    with common.waiting(f"{llm.name} (sample advice)", timeout):
        answer = ask(llm, question, timeout=timeout)
    if answer.error is not None:
        yield Check("sample advice", False, str(answer.error), answer.error.hint)
        return
    call, advice = answer.call, answer.advice
    best = advice.configs[0]
    found = plural(len(advice.configs), "configuration")
    yield Check("sample advice", True, f"{found} in {call.seconds:.1f} s. {_TASK}")
    why = f" ({best.why})" if best.why else ""
    yield Check("its best guess", None, f"{params_line(best.params, _SPACE)}{why}")
    if dropped := {**advice.repaired, **advice.rejected}:
        yield Check("repaired or dropped", None, counts_text(dropped))
    yield Check("price of a call", None, _price(call, price))


def _price(call: Call, price: Price | None) -> str:
    tokens = f"{count(call.input_tokens)} tokens in, {count(call.output_tokens)} out"
    cost = cost_of(call, None if price is None else {call.asked: price})
    return f"{tokens}, {'price unknown (--price IN,OUT)' if cost is None else usd(cost)}"
