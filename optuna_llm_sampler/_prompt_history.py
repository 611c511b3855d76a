"""The history as a large model reads it: facts first, then rows, in a bounded number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution

from ._branches import words
from ._digest import row
from ._digest import Shown
from ._grammar import json_text
from ._question import Question


# Of a parameter that decides about nothing as far as is known, no more values are named.
_MAX_UNTRIED = 8
# With more parameters, a row is a list of values in the order of the parameters.
_MAX_NAMED = 12
# Characters of rows of each kind; numbers have about one token per character.
_MAX_FINISHED_CHARS = 2_200
_MAX_OTHER_CHARS = 600


def history(question: Question) -> str:
    """Tell what the trials have shown."""
    digest = question.digest
    if not (digest.finished or digest.running or digest.failed):
        return "<history>\nNo trial has been run yet.\n</history>"
    lines = [
        f"<history>\n{digest.n_finished} finished trials, shown from worst to best:",
        *fitted([_finished(shown, question) for shown in digest.finished], _MAX_FINISHED_CHARS),
        *_trade_offs(question),
    ]
    if len(question.space) > _MAX_NAMED:
        lines.insert(1, "(each row lists values in the order of <parameters>; null: not used)")
    if digest.constraints:
        lines.append(
            f"A trial is feasible when all of {', '.join(map(quote, digest.constraints))} are "
            f"met; {digest.n_feasible} of {digest.n_finished} are. Only feasible ones count."
        )
    if digest.failed:
        lines.append(f"{digest.n_failed} failed trials; avoid their region:")
        lines += fitted([_failed(shown, question) for shown in digest.failed], _MAX_OTHER_CHARS)
        regions = [f"Fails: {fence(region)}" for region in digest.failing]
        lines += fitted(regions, _MAX_OTHER_CHARS)
    if digest.running:
        lines.append("Running now; do not repeat:")
        lines += fitted([_row(shown, question) for shown in digest.running], _MAX_OTHER_CHARS)
    lines += fitted(_untried(question), _MAX_OTHER_CHARS)
    return "\n".join([*lines, "</history>"])


def _finished(shown: Shown, question: Question) -> str:
    notes = []
    if shown.share is not None:
        notes.append(f"Pareto front, {100 * shown.share:.0f} % of its hypervolume")
    if shown.violated:
        over = ", ".join(f"{quote(name)} by {x:.3g}" for name, x in shown.violated.items())
        notes.append(f"infeasible: over {over}")
    if shown.pruned:
        notes.append("pruned")
    if shown.curve:
        notes.append(shown.curve)
    values = ", ".join(f"{value:.4g}" for value in shown.values)
    said = f" ({'; '.join(notes)})" if notes else ""
    return f"{values}{said} {_row(shown, question)}{_attrs(shown)}"


def _attrs(shown: Shown) -> str:
    return f" with {quote(dict(shown.attrs))}" if shown.attrs else ""


def _failed(shown: Shown, question: Question) -> str:
    error = f" failed with {quote(shown.error)}" if shown.error else ""
    return f"{_row(shown, question)}{error}{_attrs(shown)}"


def _row(shown: Shown, question: Question) -> str:
    values, legal = row(shown, question.space)
    data: Any = values
    if len(question.space) > _MAX_NAMED:
        data = [values.get(name) for name in question.space]
    return quote(data) + ("" if legal else " (not possible any more)")


def _trade_offs(question: Question) -> list[str]:
    """Say what one end of the front costs in terms of the other objectives."""
    digest = question.digest
    front = [shown for shown in digest.finished if shown.share is not None]
    if len(front) < 2:
        return []
    names = [quote(n) if n else f"objective {i}" for i, n in enumerate(digest.metric_names)]
    ends = []
    for i, direction in enumerate(digest.directions):
        sign = 1 if direction == "minimize" else -1
        end = min((sign * shown.values[i], shown.values) for shown in front)[1]
        others = (f"{name} {end[j]:.4g}" for j, name in enumerate(names) if j != i)
        ends.append(f"{names[i]} {end[i]:.4g} goes with {', '.join(others)}")
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
