"""A question as code, for small models: as a chat, or as a script that they go on with."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
import keyword
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from ..._study.numbers import exact
from ..._study.numbers import result_text
from ..._study.numbers import Spread
from ..._study.space import SearchSpace
from ..._study.summary import row
from ..._study.summary import spreads
from ..._study.summary import TrialSummary
from ..._study.summary import violation_spreads
from ..._study.warm_start import told
from ...llms.base import Message
from ...llms.base import Request
from ...llms.style import Style
from ..question import n_choices_shown
from ..question import Question
from .grammar import aim_line
from .grammar import choice_literals
from .grammar import code_grammar
from .grammar import comment
from .grammar import few_values
from .grammar import json_text
from .grammar import list_grammar
from .grammar import value_literals
from .history import fitted
from .variants import Variant
from .variants import variants


_SYSTEM = "You tune hyperparameters."
_WISH = "Give the best hyperparameters, as recommended in the documentation and literature"
_MAX_VALUES_SHOWN = 5
_MAX_FAILED_SHOWN = 3
_MAX_EARLIER_SHOWN = 2
# A small model reads slowly, and little of it.
_MAX_HISTORY_CHARS = 2_000
_MAX_SHARING = 3
# Digits of a score, and how many scores of the better half are to read differently, at least.
_DIGITS = 2
_PARTS = 20


def build_code(question: Question, style: Style) -> Request:
    """Return the request for a question."""
    braces = not all(n.isidentifier() and not keyword.iskeyword(n) for n in question.space)
    lines = [comment(question.task) or "A machine learning model is trained."]
    for name in question.space:
        if note := question.param_notes.get(name):
            lines.append(f"{comment(name)}: {comment(note)}")
    lines += _code_earlier(question, braces=braces)
    lines += _code_history(question, braces=braces)
    if several := variants(question):
        return _build_list(question, lines, several, style, braces=braces)
    form, said = _code_form(question.space, braces=braces, bounds=style.bounds)
    wish = f"{_WISH}, as Python: `params = {form}`."
    start = "params = " + ("{" if braces else "dict(")
    return Request(
        messages=_messages([*lines, *said, wish], start, style),
        grammar=code_grammar(
            question.space, braces=braces, exponents=style.exponents, begun=style.begun
        ),
        n=question.n_configs,
        max_tokens=(24 if style.begun else 64) + 30 * len(question.space),
        temperature=style.temperature,
        seed=question.seed,
    )


def _messages(lines: Sequence[str], start: str, style: Style) -> tuple[Message, ...]:
    text = "\n".join(lines)
    if style.form == "script":
        text = "\n".join(f"# {line}" for line in text.splitlines())
        chat: list[Message] = [{"role": "user", "content": text}]
    else:
        start = f"```python\n{start}"
        chat = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": text}]
    if style.begun:
        chat.append({"role": "assistant", "content": start})
    return tuple(chat)


def _build_list(
    question: Question,
    lines: list[str],
    several: Sequence[Variant],
    style: Style,
    *,
    braces: bool,
) -> Request:
    """Ask for one configuration per branch or aim in one answer."""
    style = replace(style, begun=True)  # only so is the answer's grammar known
    space, said, entries = question.space, [], []
    for variant in several:
        fixed = {
            name: " | ".join(value_literals(space[name], values, braces=braces))
            for name, values in variant.where.items()
        }
        part = {name: space[name] for name in variant.names}
        form, more = _code_form(part, braces=braces, bounds=style.bounds, fixed=fixed)
        said += [line for line in more if line not in said]
        entries.append(f"{aim_line(variant)}    {form},\n")
    per = "for each aim" if several[0].aim else "for each case"
    asked = f"{_WISH}, {per}, as Python:\n```python\nparams = [\n{''.join(entries)}]\n```"
    return Request(
        messages=_messages([*lines, *said, asked], "params = [\n", style),
        grammar=list_grammar(space, several, braces=braces, exponents=style.exponents),
        n=-(-question.n_configs // len(several)),
        max_tokens=sum(40 + 30 * len(variant.names) for variant in several),
        temperature=style.temperature,
        seed=question.seed,
    )


def _code_form(
    space: SearchSpace, *, braces: bool, bounds: bool, fixed: Mapping[str, str] | None = None
) -> tuple[str, list[str]]:
    """Write the call that is to be filled in, and what is said above it.

    Choices and short ranges of integers are shown, which helps; other bounds only if the style
    says so, because small models copy them. Choices that many parameters share are said once:
    shown in each of them they make a long prompt and an answer that is the same everywhere.
    """
    n = n_choices_shown(space, once=True)
    shown = {
        name: _code_values(d, braces=braces, bounds=bounds, n_choices=n)
        for name, d in space.items()
    }
    shown |= fixed or {}
    shared: dict[str, list[str]] = {}
    for name, text in shown.items():
        if "|" in text:
            shared.setdefault(text, []).append(name)
    shared = {text: names for text, names in shared.items() if len(names) > _MAX_SHARING}
    said = [f"{', '.join(names)}: one of {text} each." for text, names in shared.items()]
    items = [
        f"{json_text(name) + ': ' if braces else name + '='}{'...' if text in shared else text}"
        for name, text in shown.items()
    ]
    return ("{%s}" if braces else "dict(%s)") % ", ".join(items), said


def _code_values(
    distribution: BaseDistribution, *, braces: bool, bounds: bool, n_choices: int
) -> str:
    if isinstance(distribution, CategoricalDistribution):
        literals = choice_literals(distribution, braces=braces)
        more = len(literals) - n_choices
        shown = " | ".join(literals[:n_choices])
        return f"{shown} | ... {more} more" if more > 0 else shown
    if isinstance(distribution, IntDistribution):
        values = few_values(distribution, _MAX_VALUES_SHOWN)
        if values is not None:
            return " | ".join(map(str, values))
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return f"{exact(distribution.low)} to {exact(distribution.high)}" if bounds else "..."


def _code_earlier(question: Question, *, braces: bool) -> list[str]:
    lines = []
    for study, rows in told(question.prior_studies, question.space):
        about = comment(f"{study.name} ({', '.join(study.goals)})")
        lines.append(f"What was best on a similar problem, {about}:")
        for scores, params in rows[-_MAX_EARLIER_SHOWN:]:
            said = _scores(scores, study.spreads())
            lines.append(f"{said}: {_code_call(params, braces=braces)}")
    return fitted(lines, _MAX_HISTORY_CHARS)


def _code_history(question: Question, *, braces: bool) -> list[str]:
    """Scores first, worst to best, few digits: the form in which small models read them.

    A small model copies what it sees, so it sees no value that is not possible any more.
    """
    summary = question.summary
    lines = []
    for shown in summary.failed[-_MAX_FAILED_SHOWN:]:
        call, legal = _code_row(shown, question, braces=braces)
        if legal:
            lines.append(f"Failed: {call}  # {comment(shown.error)}".removesuffix("  # "))
    lines = fitted(lines, _MAX_HISTORY_CHARS // 2)
    rows, results, broken = [], spreads(summary), violation_spreads(summary)
    for shown in summary.finished:
        call, legal = _code_row(shown, question, braces=braces)
        if legal:
            scores = _scores(shown.values, results)
            rows.append(f"{scores}: {call}{_code_note(shown, broken)}")
    if not rows:
        return lines
    better = ", ".join(
        f"{name or 'score'}: {'lower' if direction == 'minimize' else 'higher'} is better"
        for name, direction in zip(summary.metric_names, summary.directions, strict=True)
    )
    return [
        *lines,
        f"Results so far, from worst to best ({comment(better)}):",
        *fitted(rows, _MAX_HISTORY_CHARS),
        "The next ones should be better than all of these.",
    ]


def _scores(values: Sequence[float], results: Sequence[Spread]) -> str:
    return " ".join(map(_few_digits, values, results))


def _few_digits(value: float, among: Spread) -> str:
    return result_text(value, among, digits=_DIGITS, parts=_PARTS)


def _code_note(shown: TrialSummary, broken: Mapping[str, Spread]) -> str:
    notes = [f"{name}: {json_text(value)}" for name, value in shown.attrs.items()]
    if shown.violated:
        over = ", ".join(
            f"{name} over by {_few_digits(amount, broken[name])}"
            for name, amount in shown.violated.items()
        )
        notes.insert(0, f"not allowed: {over}")
    elif shown.pruned:
        notes.insert(0, f"pruned: {shown.curve}".removesuffix(": "))
    return f"  # {comment('; '.join(notes))}" if notes else ""


def _code_row(shown: TrialSummary, question: Question, *, braces: bool) -> tuple[str, bool]:
    values, legal = row(shown, question.space)
    return _code_call(values, braces=braces), legal


def _code_call(values: Mapping[str, Any], *, braces: bool) -> str:
    items = []
    for name, value in values.items():
        text = json_text(value)
        items.append(f"{json_text(name)}: {text}" if braces else f"{name}={text}")
    return ("{%s}" if braces else "dict(%s)") % ", ".join(items)
