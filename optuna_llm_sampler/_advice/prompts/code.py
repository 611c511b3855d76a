"""A question as code, for small models: in a chat, or as a script that they continue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ..._study.numbers import exact, result_text, Spread
from ..._study.space import SearchSpace
from ..._study.summary import row, spreads, TrialSummary, violation_spreads
from ..._study.warm_start import told
from ...llms.base import Message, Request
from ...llms.style import Style
from ..question import Question
from .grammar import code_grammar, list_grammar
from .notation import few_values, Notation, notation_for
from .text import comment, fitted, json_text, n_choices_shown
from .variants import Variant, variants


_SYSTEM = "You tune hyperparameters."
_WISH = "Give the best hyperparameters, as recommended in the documentation and literature"
_MAX_VALUES_SHOWN = 5
_MAX_FAILED_SHOWN = 3
_MAX_PRIOR_SHOWN = 2
# A small model reads slowly, and little of it.
_MAX_HISTORY_CHARS = 2_000
# Choices that more parameters share than this are written once.
_MAX_REPEATED = 3
_UNCHOSEN = ("base", "documentation")
# Digits of a result, and into how many distinct parts the better half is divided, at least.
_DIGITS = 2
_PARTS = 20


def build_code(question: Question, style: Style) -> Request:
    """Return the request for a question."""
    notation = notation_for(question.space)
    notes = [(name, question.param_notes.get(name)) for name in question.space]
    context = [
        comment(question.task) or "A machine learning model is trained.",
        *(f"{comment(name)}: {comment(note)}" for name, note in notes if note),
        *_prior_studies(question, notation),
        *_history(question, notation),
    ]
    if several := variants(question):
        return _list_request(question, context, several, style, notation)
    form, shared = _form(question.space, notation, bounds=style.bounds)
    wish = f"{_WISH}, as Python: `params = {form}`."
    return Request(
        messages=_messages([*context, *shared, wish], f"params = {notation.start}", style),
        grammar=code_grammar(
            question.space, notation, exponents=style.exponents, prefilled=style.prefill
        ),
        n=question.n_configs,
        max_tokens=(24 if style.prefill else 64) + 30 * len(question.space),
        temperature=style.temperature,
        seed=question.seed,
    )


def _list_request(
    question: Question,
    context: Sequence[str],
    several: Sequence[Variant],
    style: Style,
    notation: Notation,
) -> Request:
    """Ask for one configuration per variant in one answer."""
    style = replace(style, prefill=True)  # the grammar needs to know how the answer begins
    space, shared, entries = question.space, [], []
    for variant in several:
        part = {name: space[name] for name in variant.names}
        fixed = {n: " | ".join(notation.values(space[n], v)) for n, v in variant.where.items()}
        form, lines = _form(part, notation, bounds=style.bounds, fixed=fixed)
        shared += [line for line in lines if line not in shared]
        entries.append(f"{variant.aim_line}    {form},\n")
    per = "for each aim" if several[0].aim else "for each case"
    wish = f"{_WISH}, {per}, as Python:\n```python\nparams = [\n{''.join(entries)}]\n```"
    return Request(
        messages=_messages([*context, *shared, wish], "params = [\n", style),
        grammar=list_grammar(space, several, notation, exponents=style.exponents),
        n=-(-question.n_configs // len(several)),
        max_tokens=sum(40 + 30 * len(variant.names) for variant in several),
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
    if style.prefill:
        chat.append({"role": "assistant", "content": start})
    return tuple(chat)


def _form(
    space: SearchSpace,
    notation: Notation,
    *,
    bounds: bool,
    fixed: Mapping[str, str] | None = None,
) -> tuple[str, list[str]]:
    """Write the configuration to fill in, and lines of choices that many parameters share.

    Shown in each of these parameters, choices make a long prompt and the same answer everywhere.
    """
    n = n_choices_shown(space, once=True)
    shown = {
        name: _allowed(distribution, notation, bounds=bounds, n_choices=n)
        for name, distribution in space.items()
    }
    shown |= fixed or {}
    by_choices: dict[str, list[str]] = {}
    for name, text in shown.items():
        if "|" in text:
            by_choices.setdefault(text, []).append(name)
    shared = {text: names for text, names in by_choices.items() if len(names) > _MAX_REPEATED}
    lines = [f"{', '.join(names)}: one of {text} each." for text, names in shared.items()]
    form = notation.config({n: "..." if text in shared else text for n, text in shown.items()})
    return form, lines


def _allowed(
    distribution: BaseDistribution, notation: Notation, *, bounds: bool, n_choices: int
) -> str:
    """Write the values that a parameter may have; other bounds only if the style has them."""
    if isinstance(distribution, CategoricalDistribution):
        literals = notation.choices(distribution)
        more = len(literals) - n_choices
        return " | ".join(literals[:n_choices] + [f"... {more} more"] * (more > 0))
    if isinstance(distribution, IntDistribution):
        values = few_values(distribution, _MAX_VALUES_SHOWN)
        if values is not None:
            return " | ".join(map(str, values))
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return f"{exact(distribution.low)} to {exact(distribution.high)}" if bounds else "..."


def _prior_studies(question: Question, notation: Notation) -> list[str]:
    lines = []
    for study, rows in told(question.prior_studies, question.space):
        about = comment(f"{study.name} ({', '.join(study.goals)})")
        lines.append(f"What was best on a similar problem, {about}:")
        for values, params in rows[-_MAX_PRIOR_SHOWN:]:
            config = notation.config({n: json_text(v) for n, v in params.items()})
            lines.append(f"{_results(values, study.spreads())}: {config}")
    return fitted(lines, _MAX_HISTORY_CHARS)


def _history(question: Question, notation: Notation) -> list[str]:
    """Write trials with the results first, from worst to best, in few digits.

    A small model copies what it sees, so trials with values that are no longer legal are left out,
    and so is a single trial that nobody has chosen. So are documented defaults alone: the question
    is then the same whether it is asked before or after that trial.
    """
    summary = question.summary
    is_known = any(trial.source not in _UNCHOSEN for trial in summary.finished)
    if not is_known and sum(trial.source == "base" for trial in summary.finished) <= 1:
        summary = replace(summary, finished=())
    among, violations = spreads(summary), violation_spreads(summary)
    failed = [
        f"Failed: {config}  # {comment(trial.error)}".removesuffix("  # ")
        for trial in summary.failed[-_MAX_FAILED_SHOWN:]
        if (config := _legal_config(trial, question, notation))
    ]
    finished = [
        f"{_results(trial.values, among)}: {config}{_notes(trial, violations)}"
        for trial in summary.finished
        if (config := _legal_config(trial, question, notation))
    ]
    lines = fitted(failed, _MAX_HISTORY_CHARS // 2)
    if not finished:
        return lines
    better = ", ".join(
        f"{name or 'score'}: {'lower' if direction == 'minimize' else 'higher'} is better"
        for name, direction in zip(summary.metric_names, summary.directions, strict=True)
    )
    return [
        *lines,
        f"Results so far, from worst to best ({comment(better)}):",
        *fitted(finished, _MAX_HISTORY_CHARS),
        "The next ones should be better than all of these.",
    ]


def _legal_config(trial: TrialSummary, question: Question, notation: Notation) -> str:
    """Write a trial's configuration, or ``""`` if it is no longer legal."""
    values, is_legal = row(trial, question.space)
    return notation.config({n: json_text(v) for n, v in values.items()}) if is_legal else ""


def _results(values: Sequence[float], among: Sequence[Spread]) -> str:
    return " ".join(map(_few_digits, values, among))


def _few_digits(value: float, among: Spread) -> str:
    return result_text(value, among, digits=_DIGITS, parts=_PARTS)


def _notes(trial: TrialSummary, violations: Mapping[str, Spread]) -> str:
    notes = [f"{name}: {json_text(value)}" for name, value in trial.attrs.items()]
    if trial.violated:
        over = ", ".join(
            f"{name} over by {_few_digits(amount, violations[name])}"
            for name, amount in trial.violated.items()
        )
        notes.insert(0, f"not allowed: {over}")
    elif trial.pruned:
        notes.insert(0, f"pruned: {trial.curve}".removesuffix(": "))
    return f"  # {comment('; '.join(notes))}" if notes else ""
