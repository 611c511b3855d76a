"""A report as words: lines for a terminal, Markdown for the dashboard's study note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import TypeAlias

from .._study.numbers import result_text
from .._study.numbers import Spread
from .._study.numbers import spread_of
from .._study.numbers import spreads_of
from .._text import count
from .._text import markdown
from .._text import NOTHING
from .._text import plain
from .._text import plural
from .._text import seconds
from .report import AdviceLine
from .report import Report
from .report import Standing
from .report import TrialLine


Row: TypeAlias = Sequence[str]

SOURCES = {
    "defaults": "your defaults",
    "history": "an earlier study",
    "llm": "language model",
    "base": "base sampler",
    "fallback": "base sampler, model had nothing",
    "enqueued": "enqueued by you",
    "other": "not recorded",
}
STATES = {"fail": "failed"}
STANDING_HEAD = ("Source", "Trials", "Complete", "Pruned", "Failed", "Best", "Median", "New bests")
ADVICE_HEAD = ("Trial", "Outcome", "Used", "Repaired", "Dropped", "Tokens in/out", "Time", "Cost")
_MOST_ADVICE = 10
_MOST_BEST = 5


def verdict(report: Report) -> str:
    """State the evidence on the model and the share that follows from it."""
    found = report.evidence
    if found is None:
        return "The model has not been asked yet."
    if report.is_fixed:
        rule = f"Its share of the next trials is fixed at {report.share or 0:.0%}."
    else:
        rule = f"Its share of the next trials is {report.share or 0:.0%}."
    if not found.n_base:
        return f"There is nothing to compare with the base sampler's trials yet. {rule}"
    return (
        f"The model's last {plural(found.n_model, 'trial')} beat {found.beaten:.0%} of the base "
        f"sampler's {plural(found.n_base, 'trial')} around them and improved the best "
        f"{plural(found.model_improved, 'time')}; the base sampler's improved it "
        f"{plural(found.base_improved, 'time')}. {rule}"
    )


def cost(report: Report) -> str:
    """Say what the model took, with what is not known left visible."""
    call = report.call
    if not report.calls:
        return "No calls."
    parts = [plural(call.requests, "call"), f"{seconds(call.seconds)} in the model"]
    if call.input_tokens is not None or call.output_tokens is not None:
        parts.append(f"{count(call.input_tokens)} tokens in, {count(call.output_tokens)} out")
    if call.cached_tokens:
        parts.append(f"{call.cached_tokens:,} of them cached")
    if call.estimated:
        parts.append("some tokens estimated")
    if report.uncounted:
        parts.append(f"{plural(report.uncounted, 'call')} without token counts")
    unpriced = sum(record.usd is None for record in report.calls)
    if report.usd is None:
        parts.append("price unknown")
    else:
        lacking = f" and {plural(unpriced, 'call')} of unknown price" if unpriced else ""
        parts.append(f"{usd(report.usd)}{lacking}")
    return ", ".join(parts) + "."


def budget(report: Report) -> str:
    """Say what is left of the budget: "3 of 5 calls, $0.02 of $1.00"."""
    if not report.budget:
        return ""
    parts = [
        f"{usd(used)} of {usd(limit)}" if name == "usd" else f"{used:,.6g} of {limit:,.6g} {name}"
        for name, used, limit in report.budget
    ]
    end = " The base sampler goes on alone." if any(u >= m for _, u, m in report.budget) else ""
    return f"Budget used: {', '.join(parts)}.{end}"


def more_calls(report: Report) -> str:
    """Name the calls that belong to no advice: lost ones and those of commands."""
    others = [r for r in report.calls if r.purpose != "advice" or r.outcome == "lost"]
    names = (
        plain(r.outcome if r.purpose == "advice" else f"{r.purpose} ({r.outcome})", 60)
        for r in others
    )
    return ", ".join(f"{name} ×{n}" for name, n in Counter(names).items())


def usd(value: float | None) -> str:
    if value is None:
        return NOTHING
    if value == 0:
        return "$0"
    return f"${value:.2f}" if value >= 1 else f"${value:.4f}"


def goals(report: Report) -> str:
    return ", ".join(
        f"{direction} {plain(name) or 'the objective value'}"
        for direction, name in zip(report.directions, report.metric_names, strict=True)
    )


def spreads(report: Report) -> tuple[Spread, ...]:
    """Return how the results of the trials differ, per objective."""
    return spreads_of((line.values for line in report.trials), report.directions)


def param_spreads(report: Report) -> dict[str, Spread]:
    """Return how the values differ of each parameter that is a float."""
    found: dict[str, list[float]] = {}
    for line in report.trials:
        for name, value in line.params.items():
            if isinstance(value, float):
                found.setdefault(name, []).append(value)
    return {name: spread_of(values) for name, values in found.items()}


def value_text(value: float | None, among: Spread) -> str:
    """Write a result so that it differs from the others."""
    if value is None or math.isnan(value):
        return NOTHING
    return result_text(value, among, digits=5)


def values_text(line: TrialLine, among: Sequence[Spread]) -> str:
    return ", ".join(map(value_text, line.values, among))


def standing_rows(report: Report) -> list[tuple[str, ...]]:
    among = spreads(report)[0]
    return [_standing_row(standing, among) for standing in report.standings]


def _standing_row(standing: Standing, among: Spread) -> tuple[str, ...]:
    return (
        SOURCES[standing.kind],
        f"{standing.trials:,}",
        f"{standing.complete:,}",
        f"{standing.pruned:,}",
        f"{standing.failed:,}",
        value_text(standing.best, among),
        value_text(standing.median, among),
        f"{standing.new_bests:,}",
    )


def advice_row(line: AdviceLine) -> tuple[str, ...]:
    tokens = (line.call.input_tokens, line.call.output_tokens)
    return (
        str(line.trial),
        line.outcome,
        f"{line.used} of {line.configs}" if line.outcome == "ok" else NOTHING,
        reasons(line.repaired),
        reasons(line.rejected),
        NOTHING if tokens == (None, None) else f"{count(tokens[0])} / {count(tokens[1])}",
        seconds(line.call.seconds),
        usd(line.usd),
    )


def reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{plain(k, 30)} ×{n}" for k, n in sorted(counts.items())) or NOTHING


def best_line(line: TrialLine, among: Sequence[Spread]) -> str:
    """Say what the best trial is: "0.91 (trial 7, llm)"."""
    source = f", {line.source}" if line.source else ""
    return f"{values_text(line, among)} (trial {line.number}{source})"


def params_line(line: TrialLine, among: Mapping[str, Spread]) -> str:
    return ", ".join(
        f"{plain(name, 60)} = "
        f"{result_text(v, among[name]) if isinstance(v, float) else plain(v, 60)}"
        for name, v in line.params.items()
    )


def states_line(report: Report) -> str:
    parts = [f"{n:,} {STATES.get(state, state)}" for state, n in report.states.items()]
    return f"{plural(len(report.trials), 'trial')}" + (f" ({', '.join(parts)})" if parts else "")


def fallbacks_line(report: Report) -> str:
    return reasons(report.fallbacks) if report.fallbacks else ""


def wide(rows: Sequence[Row]) -> Sequence[int]:
    """Return which columns of a table say anything. The first row is the head."""
    # The first two say what the row is about.
    return [
        i
        for i in range(len(rows[0]))
        if i < 2 or any(row[i] not in (NOTHING, "0") for row in rows[1:])
    ]


def table(rows: Sequence[Row], *, bold: Callable[[str], str] = str) -> list[str]:
    """Align columns; the first row is the head. Columns that say nothing are left out."""
    kept = wide(rows)
    cells = [[row[i] for i in kept] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(kept))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return [bold(lines[0].rstrip()), *(line.rstrip() for line in lines[1:])]


def to_text(report: Report, *, bold: Callable[[str], str] = str) -> str:
    """Write the report for a terminal.

    Args:
        report:
            What to write.
        bold:
            What makes a heading of a line, on terminals that can.
    """
    lines = [bold(f"Study {plain(report.study)}: {states_line(report)}"), f"Goal: {goals(report)}"]
    results, params = spreads(report), param_spreads(report)
    for line in report.best[:_MOST_BEST]:
        lines += [f"Best: {best_line(line, results)}", f"      {params_line(line, params)}"]
        if line.why:
            lines.append(f"      The model's reason: {line.why}")
    lines += _more(report)
    if report.standings:
        lines += ["", *table([STANDING_HEAD, *standing_rows(report)], bold=bold)]
    lines += ["", verdict(report)]
    if report.fallbacks:
        lines.append(f"The base sampler stood in for the model: {fallbacks_line(report)}.")
    if report.advice:
        shown = report.advice[-_MOST_ADVICE:]
        lines += ["", *table([ADVICE_HEAD, *map(advice_row, shown)], bold=bold)]
    lines.append(f"Model: {plain(report.call.model) or 'none'}. {cost(report)}")
    if report.budget:
        lines.append(budget(report))
    if more_calls(report):
        lines.append(f"Calls without advice: {more_calls(report)}.")
    if report.belief:
        lines += ["", bold("What the model believes"), report.belief]
    return "\n".join(lines) + "\n"


def _more(report: Report) -> list[str]:
    more = len(report.best) - _MOST_BEST
    return [f"      and {more} more on the Pareto front"] if more > 0 else []


def to_markdown(report: Report) -> str:
    """Write the report as Markdown (GFM), with everything from outside escaped."""
    parts = [f"{states_line(report)}. Goal: {markdown(goals(report))}."]
    results, params = spreads(report), param_spreads(report)
    for line in report.best[:_MOST_BEST]:
        parts.append(f"**Best: {markdown(best_line(line, results))}**")
        parts.append(markdown(params_line(line, params), 600))
        if line.why:
            parts.append(f"The model's reason: {markdown(line.why)}")
    parts += _more(report)
    if report.belief:
        parts.append(f"**What the model believes:** {markdown(report.belief, 2_000)}")
    if report.standings:
        parts.append(_grid([STANDING_HEAD, *standing_rows(report)]))
    parts.append(markdown(verdict(report)))
    if report.fallbacks:
        stood_in = markdown(fallbacks_line(report))
        parts.append(f"The base sampler stood in for the model: {stood_in}.")
    if report.advice:
        shown = report.advice[-_MOST_ADVICE:]
        parts.append(f"**Advice** (by {markdown(report.call.model) or 'an unknown model'})")
        parts.append(_grid([ADVICE_HEAD, *map(advice_row, shown)]))
    parts.append(f"**Cost:** {markdown(cost(report))}")
    if report.budget:
        parts.append(markdown(budget(report)))
    if more_calls(report):
        parts.append(f"Calls without advice: {markdown(more_calls(report))}.")
    return "\n\n".join(parts) + "\n"


def _grid(rows: Sequence[Row]) -> str:
    kept = wide(rows)
    cells = [[markdown(row[i]) for i in kept] for row in rows]
    columns = zip(*cells[1:], strict=True)
    rule = ["---:" if all(map(_is_number, column)) else "---" for column in columns]
    # The dashboard leaves no room between columns.
    lines = [[f"{cell}&emsp;" for cell in row] for row in cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in [lines[0], rule, *lines[1:]])


def _is_number(cell: str) -> bool:
    return cell == NOTHING or cell.lstrip("\\$-").replace(",", "").replace(".", "").isdigit()
