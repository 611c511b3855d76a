"""The history as a large model reads it: facts first, then rows, in a bounded number of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution

from ..._study.conditions import words
from ..._study.numbers import result_text
from ..._study.numbers import Spread
from ..._study.summary import row
from ..._study.summary import spreads
from ..._study.summary import TrialSummary
from ..._study.summary import violation_spreads
from ..question import Question
from .grammar import json_text


# Of a parameter that decides about nothing as far as is known, no more values are named.
_MAX_UNTRIED = 8
# With more parameters, a row is a list of values in the order of the parameters.
_MAX_NAMED = 12
# Characters of rows of each kind; numbers have about one token per two characters.
_MAX_FINISHED_CHARS = 10_000
_MAX_OTHER_CHARS = 600
_AUTHORS = {"llm": ", yours", "base": ", optimiser", "user": ", user"}
_CHARS_PER_TAG = 18


def history(question: Question) -> str:
    """Tell what the trials have shown."""
    summary = question.summary
    if not (summary.finished or summary.running or summary.failed):
        return "<history>\nNo trial has been run yet.\n</history>"
    lines = [
        f"<history>\n{summary.n_finished} finished trials, from worst to best, as value, "
        "parameters and [trial number, whose idea]:",
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
        lines += fitted([_failed(shown, question) for shown in summary.failed], _MAX_OTHER_CHARS)
        regions = [f"Fails: {fence(region)}" for region in summary.failing]
        lines += fitted(regions, _MAX_OTHER_CHARS)
    if summary.running:
        lines.append("Running now; do not repeat:")
        lines += fitted([_row(shown, question) for shown in summary.running], _MAX_OTHER_CHARS)
    lines += fitted(_untried(question), _MAX_OTHER_CHARS)
    return "\n".join([*lines, "</history>"])


def _finished(question: Question) -> list[str]:
    """Write the finished trials; reasons go first, from the worst on, where not all fits."""
    trials = question.summary.finished
    rows = _rows(question)
    reasons = [f": {quote(trial.why)}" if trial.why else "" for trial in trials]
    left = _MAX_FINISHED_CHARS - sum(map(len, rows))
    for i in reversed(range(len(rows))):
        left -= len(reasons[i])
        kept = reasons[i] if left >= 0 else ""
        author = _AUTHORS.get(trials[i].source, "")
        rows[i] += f" [{trials[i].number}{author}{kept}]"
    return fitted(rows, _MAX_FINISHED_CHARS + _CHARS_PER_TAG * len(rows))


def _rows(question: Question) -> list[str]:
    summary = question.summary
    results, broken = spreads(summary), violation_spreads(summary)
    rows = []
    for shown in summary.finished:
        values = ", ".join(map(result_text, shown.values, results))
        notes = _notes(shown, broken)
        said = f" ({'; '.join(notes)})" if notes else ""
        rows.append(f"{values}{said} {_row(shown, question)}{_attrs(shown)}")
    return rows


def _notes(shown: TrialSummary, broken: Mapping[str, Spread]) -> list[str]:
    notes = []
    if shown.share is not None:
        # What is more than nothing does not read as nothing.
        least = 0 < shown.share < 0.005
        part = "under 1" if least else f"{100 * shown.share:.0f}"
        notes.append(f"Pareto front, {part} % of its hypervolume")
    if shown.violated:
        over = ", ".join(
            f"{quote(name)} by {result_text(amount, broken[name], digits=3)}"
            for name, amount in shown.violated.items()
        )
        notes.append(f"infeasible: over {over}")
    if shown.pruned:
        notes.append("pruned")
    if shown.curve:
        notes.append(shown.curve)
    return notes


def _attrs(shown: TrialSummary) -> str:
    return f" with {quote(dict(shown.attrs))}" if shown.attrs else ""


def _failed(shown: TrialSummary, question: Question) -> str:
    error = f" failed with {quote(shown.error)}" if shown.error else ""
    return f"{_row(shown, question)}{error}{_attrs(shown)}"


def _is_positional(question: Question) -> bool:
    """Tell whether rows are lists; with branches, names are shorter than a null for each other."""
    return len(question.space) > _MAX_NAMED and not question.conditions


def _row(shown: TrialSummary, question: Question) -> str:
    values, legal = row(shown, question.space)
    data: Any = values
    if _is_positional(question):
        data = [values.get(name) for name in question.space]
    return quote(data) + ("" if legal else " (not possible any more)")


def _trade_offs(question: Question) -> list[str]:
    """Say what one end of the front costs in terms of the other objectives."""
    summary = question.summary
    front = [shown for shown in summary.finished if shown.share is not None]
    if len(front) < 2:
        return []
    names = [quote(n) if n else f"objective {i}" for i, n in enumerate(summary.metric_names)]
    results, ends = spreads(summary), []
    for i, direction in enumerate(summary.directions):
        sign = 1 if direction == "minimize" else -1
        end = min((sign * shown.values[i], shown.values) for shown in front)[1]
        own, *others = (
            f"{names[j]} {result_text(end[j], results[j])}"
            for j in sorted(range(len(names)), key=lambda j: j != i)
        )
        ends.append(f"{own} goes with {', '.join(others)}")
    return [f"Trade-offs: the best {'; the best '.join(ends)}."]


def _untried(question: Question) -> list[str]:
    """Name the values that decide about others, or may, and that nobody has tried."""
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


def fitted(rows: Sequence[str], limit: int) -> list[str]:
    """Leave out rows from the middle until the others fit; the last ones are the best."""
    kept = list(rows)
    while len(kept) > 1 and sum(map(len, kept)) > limit:
        del kept[len(kept) // 3]
    return kept


def quote(value: Any) -> str:
    """Write JSON that cannot close a tag around it."""
    return json_text(value).replace("<", "\\u003c").replace(">", "\\u003e")


def fence(text: str) -> str:
    """Keep a text from closing the tags around it."""
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return text.strip().replace("<", "‹").replace(">", "›").replace("```", "")
