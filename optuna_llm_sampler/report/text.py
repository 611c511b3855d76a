"""A report in words: sections of sentences and tables, written as plain text or Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .._text import count, markdown, NOTHING, plain, plural, seconds
from .report import AdviceLine, Report, TrialLine
from .sources import SOURCES


Row: TypeAlias = Sequence[str]

STATES = {"fail": "failed"}
_SOURCE_HEAD = ("Source", "Trials", "Complete", "Pruned", "Failed", "Best", "Median", "Improved")
_ADVICE_HEAD = ("Trial", "Outcome", "Used", "Repaired", "Dropped", "Tokens in/out", "Time", "Cost")
_MOST_ADVICE = 10
_MOST_BEST = 5


@dataclass(frozen=True)
class Section:
    """One part of a report."""

    title: str  # its heading
    lines: tuple[str, ...] = ()  # sentences, a paragraph each
    # A table below them. The first row is the head; columns without content are left out.
    table: tuple[Row, ...] = ()
    # The kind of source that each row of the table is about, if it is about one.
    kinds: tuple[str, ...] = ()


def sections(report: Report, most_advice: int = _MOST_ADVICE) -> list[Section]:
    """Write the report as sections; of the calls for advice, the latest."""
    sources = [
        (
            SOURCES[stats.kind].name,
            *(f"{n:,}" for n in (stats.trials, stats.complete, stats.pruned, stats.failed)),
            report.value_text(stats.best),
            report.value_text(stats.median),
            f"{stats.improved:,}",
        )
        for stats in report.sources
    ]
    kinds = tuple(stats.kind for stats in report.sources)
    advice = [_advice_row(line) for line in report.advice[-most_advice:]]
    found = [
        Section("Best trial" if len(report.directions) == 1 else "Pareto front", _best(report)),
        Section(
            "Model and base sampler", comparison(report), _table(_SOURCE_HEAD, sources), kinds
        ),
        Section("What the model believes", (report.belief,) if report.belief else ()),
        Section("Calls to the model", _calls(report), _table(_ADVICE_HEAD, advice)),
    ]
    return [section for section in found if section.lines or section.table]


def comparison(report: Report) -> tuple[str, ...]:
    """State the evidence for and against the model and the share that follows from it."""
    found = report.evidence
    lines = []
    if found is None:
        lines.append(
            f"The model has {'given no advice' if report.advice else 'not been asked'} yet."
        )
    elif found.n_base:
        lines += [
            f"The model's last {plural(found.n_model, 'trial')}, compared with the base sampler's "
            f"{plural(found.n_base, 'trial')} around them, were better in {found.beaten:.0%} of "
            f"the comparisons.",
            f"During that time, the model improved the best result {_times(found.model_improved)} "
            f"and the base sampler {_times(found.base_improved)}.",
        ]
    else:
        lines.append("There are no trials of the base sampler to compare the model's with yet.")
    if found is not None and found.misleading:
        lines.append(
            "None of the model's trials is better than three quarters of the base sampler's, so "
            "the default base sampler does not learn from them."
        )
    if report.share is not None:
        why = "is fixed" if report.is_fixed else "follows from the results"
        lines.append(f"The model gets {report.share:.0%} of the next trials. This share {why}.")
    if report.fallbacks:
        n = plural(sum(report.fallbacks.values()), "trial")
        lines.append(
            f"The base sampler replaced the model in {n}: {counts_text(report.fallbacks)}."
        )
    return tuple(lines)


def headline(report: Report) -> str:
    """Count the trials by state and name the objectives."""
    parts = [f"{n:,} {STATES.get(state, state)}" for state, n in report.states.items()]
    states = f" ({', '.join(parts)})" if parts else ""
    several = len(report.directions) > 1
    goals = ", ".join(
        f"{direction} {plain(name) or (f'objective {i}' if several else 'the objective value')}"
        for i, (direction, name) in enumerate(
            zip(report.directions, report.metric_names, strict=True)
        )
    )
    return f"{plural(len(report.trials), 'trial')}{states}. Goal: {goals}."


def source_text(line: TrialLine) -> str:
    """Name the source of a trial within a sentence."""
    return SOURCES[line.kind].name.lower()


def params_line(report: Report, line: TrialLine) -> str:
    return ", ".join(f"{name} = {text}" for name, text in report.params_text(line).items())


def cost(report: Report) -> str:
    """State what all calls took, and what of it is not known."""
    total = report.total
    if not report.calls:
        return "No calls to a model."
    parts = [plural(total.requests, "call"), seconds(total.seconds)]
    if total.input_tokens is not None or total.output_tokens is not None:
        parts.append(f"{count(total.input_tokens)} tokens in, {count(total.output_tokens)} out")
    if total.cached_tokens:
        parts.append(f"{total.cached_tokens:,} of them cached")
    if total.estimated:
        parts.append("some tokens estimated")
    uncounted = sum(
        call.input_tokens is None or call.output_tokens is None for call in report.calls
    )
    if uncounted:
        parts.append(f"tokens of {plural(uncounted, 'call')} unknown")
    unpriced = sum(call.usd is None for call in report.calls)
    if total.usd is None:
        parts.append("price unknown")
    else:
        parts.append(
            usd(total.usd) + f" and {plural(unpriced, 'call')} of unknown price" * (unpriced > 0)
        )
    return f"Model {plain(total.model) or 'unknown'}: {', '.join(parts)}."


def budget(report: Report) -> str:
    """State how much of the budget is used: "Budget used: 3 of 5 calls, $0.02 of $1.00."."""
    if not report.budget:
        return ""
    parts = [
        f"{usd(used)} of {usd(limit)}" if name == "usd" else f"{used:,.6g} of {limit:,.6g} {name}"
        for name, used, limit in report.budget
    ]
    is_spent = any(used >= limit for _, used, limit in report.budget)
    return f"Budget used: {', '.join(parts)}." + " The model is not asked any more." * is_spent


def usd(value: float | None) -> str:
    if value is None:
        return NOTHING
    if value == 0:
        return "$0"
    return f"${value:.2f}" if value >= 1 else f"${value:.4f}"


def to_text(report: Report, *, bold: Callable[[str], str] = str) -> str:
    """Write the report for a terminal; ``bold`` makes a line a heading, on terminals that can."""
    lines = [bold(f"Study {plain(report.study)}"), headline(report)]
    for section in sections(report):
        lines += ["", bold(section.title), *section.lines]
        if section.table:
            rows = section.table
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            cells = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows]
            lines += ["", *("  ".join(row).rstrip() for row in cells)]
    return "\n".join(lines) + "\n"


def to_markdown(report: Report) -> str:
    """Write the report as Markdown (GFM), with everything from outside escaped."""
    parts = [markdown(headline(report), 400)]
    for section in sections(report):
        parts += [f"### {section.title}", *(markdown(line, 2_000) for line in section.lines)]
        if section.table:
            parts.append(_grid(section.table))
    return "\n\n".join(parts) + "\n"


def _best(report: Report) -> tuple[str, ...]:
    lines = []
    for line in report.best[:_MOST_BEST]:
        lines.append(f"Trial {line.number}, {source_text(line)}: {report.values_text(line)}")
        if line.params:
            lines.append(plain(params_line(report, line), 600))
        if line.why:
            lines.append(f"The model's reason: {line.why}")
    more = len(report.best) - _MOST_BEST
    return (
        (*lines, f"{plural(more, 'more trial')} on the Pareto front.") if more > 0 else (*lines,)
    )


def _calls(report: Report) -> tuple[str, ...]:
    others = [call for call in report.calls if call.purpose != "advice" or call.outcome == "lost"]
    names = Counter(
        plain(c.outcome if c.purpose == "advice" else f"{c.purpose} ({c.outcome})", 60)
        for c in others
    )
    other = f"Calls for other purposes or lost: {counts_text(names)}." if others else ""
    return tuple(filter(None, (cost(report), budget(report), other)))


def _advice_row(line: AdviceLine) -> tuple[str, ...]:
    tokens = (line.call.input_tokens, line.call.output_tokens)
    return (
        str(line.trial),
        line.outcome,
        f"{line.used} of {line.configs}" if line.outcome == "ok" else NOTHING,
        counts_text(line.repaired),
        counts_text(line.rejected),
        NOTHING if tokens == (None, None) else f"{count(tokens[0])} / {count(tokens[1])}",
        seconds(line.call.seconds),
        usd(line.call.usd),
    )


def counts_text(counts: Mapping[str, int]) -> str:
    """Write counts by reason: "clipped ×2, known ×1"."""
    return ", ".join(f"{plain(k, 60)} ×{n}" for k, n in sorted(counts.items())) or NOTHING


def _times(n: int) -> str:
    return {0: "never", 1: "once"}.get(n, f"{n:,} times")


def _table(head: Row, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows below their head, without empty columns."""
    kept = [
        i for i in range(len(head)) if i < 2 or any(row[i] not in (NOTHING, "0") for row in rows)
    ]
    return tuple(tuple(row[i] for i in kept) for row in (head, *rows)) if rows else ()


def _grid(rows: Sequence[Row]) -> str:
    cells = [[markdown(cell) for cell in row] for row in rows]
    columns = zip(*cells[1:], strict=True)
    rule = ["---:" if all(map(_is_number, column)) else "---" for column in columns]
    # The dashboard leaves no room between columns.
    lines = [[f"{cell}&emsp;" for cell in row] for row in cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in [lines[0], rule, *lines[1:]])


def _is_number(cell: str) -> bool:
    return cell == NOTHING or cell.lstrip("\\$-").replace(",", "").replace(".", "").isdigit()
