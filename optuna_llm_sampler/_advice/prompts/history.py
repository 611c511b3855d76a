"""The history as a large model reads it: facts and rows of trials, bounded in length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution

from ..._study.conditions import words
from ..._study.numbers import result_text, Spread
from ..._study.summary import row, spreads, TrialSummary, violation_spreads
from ..._text import plural
from ..question import Question
from .text import fence, fitted, quote


# Untried choices are named if there are no more, or if other parameters depend on them.
_MAX_UNTRIED = 8
# With more parameters, a row is a list of values in the order of the parameters.
_MAX_NAMED = 12
# Characters of all rows of a kind; numbers have about one token per two characters.
_MAX_FINISHED_CHARS = 10_000
_MAX_OTHER_CHARS = 600
_AUTHORS = {
    "llm": ", yours",
    "base": ", optimiser",
    "user": ", user",
    "documentation": ", default",
}
_CHARS_PER_AUTHOR = 18


def history(question: Question) -> str:
    """Return the section ``<history>``."""
    summary = question.summary
    if not (summary.finished or summary.running or summary.failed):
        return "<history>\nNo trial has been run yet.\n</history>"
    lines = [
        f"<history>\n{plural(summary.n_finished, 'finished trial')}, from worst to best, as "
        "value, parameters and [trial number, whose idea]:",
        *_finished(question),
        *_trade_offs(question),
    ]
    if summary.since_best is not None:
        lines.append(f"Trials that have finished since the best one: {summary.since_best}.")
    if _is_positional(question):
        lines.insert(1, "(each row lists values in the order of <parameters>; null: not used)")
    if summary.constraints:
        lines.append(
            f"A trial is feasible when all of {', '.join(map(quote, summary.constraints))} are "
            f"met; {summary.n_feasible} of {summary.n_finished} are. Only feasible ones count."
        )
    if summary.failed:
        lines.append(f"{summary.n_failed} failed trials; avoid their region:")
        lines += fitted([_failed(trial, question) for trial in summary.failed], _MAX_OTHER_CHARS)
        regions = [f"Fails: {fence(region)}" for region in summary.failing]
        lines += fitted(regions, _MAX_OTHER_CHARS)
    if summary.running:
        lines.append("Running now; do not repeat:")
        lines += fitted([_row(trial, question) for trial in summary.running], _MAX_OTHER_CHARS)
    lines += fitted(_untried(question), _MAX_OTHER_CHARS)
    return "\n".join([*lines, "</history>"])


def _finished(question: Question) -> list[str]:
    """Write the finished trials; where not all fits, reasons of the worst are dropped first."""
    summary = question.summary
    among, violations = spreads(summary), violation_spreads(summary)
    rows = [
        f"{', '.join(map(result_text, trial.values, among))}{_notes(trial, violations)} "
        f"{_row(trial, question)}{_attrs(trial)}"
        for trial in summary.finished
    ]
    left = _MAX_FINISHED_CHARS - sum(map(len, rows))
    for i, trial in reversed(list(enumerate(summary.finished))):
        reason = f": {quote(trial.why)}" if trial.why else ""
        left -= len(reason)
        rows[i] += f" [{trial.number}{_AUTHORS.get(trial.source, '')}{reason * (left >= 0)}]"
    return fitted(rows, _MAX_FINISHED_CHARS + _CHARS_PER_AUTHOR * len(rows))


def _notes(trial: TrialSummary, violations: Mapping[str, Spread]) -> str:
    notes = []
    if trial.share is not None:
        percent = "under 1" if 0 < trial.share < 0.005 else f"{100 * trial.share:.0f}"
        notes.append(f"Pareto front, {percent} % of its hypervolume")
    if trial.violated:
        over = ", ".join(
            f"{quote(name)} by {result_text(amount, violations[name], digits=3)}"
            for name, amount in trial.violated.items()
        )
        notes.append(f"infeasible: over {over}")
    if trial.pruned:
        notes.append("pruned")
    if trial.curve:
        notes.append(trial.curve)
    return f" ({'; '.join(notes)})" if notes else ""


def _attrs(trial: TrialSummary) -> str:
    return f" with {quote(dict(trial.attrs))}" if trial.attrs else ""


def _failed(trial: TrialSummary, question: Question) -> str:
    error = f" failed with {quote(trial.error)}" if trial.error else ""
    return f"{_row(trial, question)}{error}{_attrs(trial)}"


def _is_positional(question: Question) -> bool:
    """Tell whether rows are lists. With branches, names are shorter than a null for the others."""
    return len(question.space) > _MAX_NAMED and not question.conditions


def _row(trial: TrialSummary, question: Question) -> str:
    values, is_legal = row(trial, question.space)
    data: Any = values
    if _is_positional(question):
        data = [values.get(name) for name in question.space]
    return quote(data) + ("" if is_legal else " (not possible any more)")


def _trade_offs(question: Question) -> list[str]:
    """Write the values of all objectives at each end of the Pareto front."""
    summary = question.summary
    front = [trial for trial in summary.finished if trial.share is not None]
    if len(front) < 2:
        return []
    names = [quote(n) if n else f"objective {i}" for i, n in enumerate(summary.metric_names)]
    among, ends = spreads(summary), []
    for i, direction in enumerate(summary.directions):
        sign = 1 if direction == "minimize" else -1
        end = min((sign * trial.values[i], trial.values) for trial in front)[1]
        texts = [
            f"{name} {result_text(value, spread)}"
            for name, value, spread in zip(names, end, among, strict=True)
        ]
        own = texts.pop(i)
        ends.append(f"{own} goes with {', '.join(texts)}")
    return [f"Trade-offs: the best {'; the best '.join(ends)}."]


def _untried(question: Question) -> list[str]:
    """Name untried values on which other parameters depend, or may depend."""
    parents = {parent for where in question.conditions.values() for parent in where}
    return [
        f"Nobody has tried {fence(words({name: values}))}."
        for name, values in question.untried.items()
        if name in parents
        or (
            isinstance(question.space[name], CategoricalDistribution)
            and len(values) <= _MAX_UNTRIED
        )
    ]
