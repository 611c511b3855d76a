"""A report as one self-contained HTML page: no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from .._study.numbers import Spread
from .._text import html
from .._text import plain
from .report import Report
from .report import TrialLine
from .svg import COLORS
from .svg import history
from .svg import kind_of_line
from .text import ADVICE_HEAD
from .text import advice_row
from .text import budget
from .text import cost
from .text import fallbacks_line
from .text import goals
from .text import param_spreads
from .text import params_line
from .text import SOURCES
from .text import spreads
from .text import STANDING_HEAD
from .text import standing_rows
from .text import STATES
from .text import states_line
from .text import usd
from .text import values_text
from .text import verdict
from .text import wide


# More rows make a page that no browser likes to scroll.
_MOST_TRIALS = 1_000
_MOST_BEST = 5

_CSS = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #626b7c; --line: #dde1e8;
  --card: #f6f7f9; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #9aa3b2; --line: #363c48;
  --card: #22262e; --page: #181b20; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.soft, .none { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.35rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td.nowrap { white-space: nowrap; }
td.text { min-width: 14rem; overflow-wrap: anywhere; }
tr.is-best td { background: var(--card); font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 12px; fill: var(--soft); }
svg .end { text-anchor: end; } svg .mid { text-anchor: middle; }
svg .grid { stroke: var(--line); } svg .best { fill: none; stroke: var(--soft); stroke-width: 2; }
svg .pruned { fill: var(--page); }
.dot { display: inline-block; width: .65em; height: .65em; border-radius: 50%;
  margin-right: .35em; }
.legend span { margin-right: 1.1rem; white-space: nowrap; }
footer { color: var(--soft); font-size: .85rem; margin-top: 2.5rem; }
"""


def to_html(report: Report) -> str:
    """Write the report as one HTML page, with everything from outside escaped."""
    kinds = [standing.kind for standing in report.standings]
    colors = "".join(
        f"svg .{k} {{ stroke: {c}; }} svg .{k}:not(.pruned), .dot.{k} {{ fill: {c};"
        f" background: {c}; }}"
        for k, c in COLORS.items()
        if k in kinds
    )
    body = "\n".join(
        (
            _head(report),
            _cards(report),
            _charts(report),
            f"<p>{html(verdict(report), 400)}</p>",
            _standings(report),
            _belief(report),
            _advice(report),
            _trials(report),
            "<footer>Written by optuna-llm-sampler.</footer>",
        )
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        # Whatever got through the escaping, no script runs and nothing is loaded.
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html(report.study)}</title><style>{_CSS}{colors}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _head(report: Report) -> str:
    return (
        f"<h1>{html(report.study)}</h1>"
        f"<p class='soft'>{html(states_line(report))}. Goal: {html(goals(report), 400)}.</p>"
    )


def _cards(report: Report) -> str:
    cards = []
    for line in report.best[:1]:
        values = values_text(line, spreads(report))
        front = f", one of {len(report.best)} on the Pareto front" if len(report.best) > 1 else ""
        cards.append(("Best", values, f"trial {line.number}, {_source(line)}{front}"))
    if report.share is not None:
        why = "fixed" if report.is_fixed else "by what its trials came to"
        cards.append(("The model's share of the next trials", f"{report.share:.0%}", why))
    call = report.call
    tokens = (call.input_tokens or 0) + (call.output_tokens or 0)
    known = f"{tokens:,} tokens" if tokens else "tokens unknown"
    cards.append(("Calls to the model", f"{call.requests:,}", known if report.advice else ""))
    price = usd(report.usd) if report.usd is not None else "unknown"
    below = f"{plain(call.model, 60)} {budget(report)}"
    cards.append(("Cost", price if report.advice else "none", below))
    inner = "".join(
        f"<div class='card'><span class='soft'>{html(a)}</span><b>{html(b)}</b>"
        f"<span class='soft'>{html(c)}</span></div>"
        for a, b, c in cards
    )
    return f"<div class='cards'>{inner}</div>"


def _source(line: TrialLine) -> str:
    return SOURCES[kind_of_line(line)]


def _charts(report: Report) -> str:
    entries = [_dot(s.kind) + html(SOURCES[s.kind]) for s in report.standings]
    entries += ["hollow: pruned"] * ("pruned" in report.states)
    entries += ["×: failed"] * ("fail" in report.states)
    legend = "".join(f"<span>{entry}</span>" for entry in entries)
    parts = [f"<h2>History</h2><p class='legend soft'>{legend}</p>"]
    names = zip(report.directions, report.metric_names, strict=True)
    for i, (direction, name) in enumerate(names):
        title = name or ("Objective value" if len(report.directions) == 1 else f"Objective {i}")
        drawn = history(
            report.trials, i, spreads(report), maximize=direction == "maximize", title=title
        )
        parts.append(drawn)
    return "".join(parts)


def _dot(kind: str) -> str:
    return f"<i class='dot {kind}'></i>"


def _standings(report: Report) -> str:
    if not report.standings:
        return ""
    rows = [STANDING_HEAD, *standing_rows(report)]
    dots = [_dot(standing.kind) for standing in report.standings]
    stood_in = ""
    if report.fallbacks:
        why = html(fallbacks_line(report), 400)
        stood_in = f"<p class='soft'>The base sampler stood in for the model: {why}.</p>"
    return _table(rows, dots) + stood_in


def _belief(report: Report) -> str:
    if not report.belief:
        return ""
    return f"<h2>What the model believes</h2><p>{html(report.belief, 2_000)}</p>"


def _advice(report: Report) -> str:
    if not report.advice:
        return ""
    rows = [ADVICE_HEAD, *map(advice_row, report.advice)]
    return f"<h2>Advice</h2>{_table(rows)}<p class='soft'>{html(cost(report), 400)}</p>"


def _table(rows: Sequence[Sequence[str]], dots: Sequence[str] = ()) -> str:
    kept = wide(rows)
    head = "".join(f"<th>{html(rows[0][i])}</th>" for i in kept)
    body = []
    for n, row in enumerate(rows[1:]):
        cells = [f"<td class='nowrap'>{html(row[i])}</td>" for i in kept]
        if dots:
            cells[0] = cells[0].replace(">", f">{dots[n]}", 1)
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<div class='scroll'><table><tr>{head}</tr>{''.join(body)}</table></div>"


def _trials(report: Report) -> str:
    best = {line.number for line in report.best}
    shown = report.trials[-_MOST_TRIALS:]
    if not shown:
        return ""
    results, params = spreads(report), param_spreads(report)
    rows = [_trial_row(line, results, params) for line in shown]
    heads = ("Trial", "Value", "Source", "The model's reason", "Parameters")
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    head = "".join(f"<th>{heads[i]}</th>" for i in kept)
    body = []
    for line, row in zip(shown, rows, strict=True):
        looks = ("text" if i > 2 else "nowrap" for i in kept)
        cells = "".join(f"<td class='{c}'>{row[i]}</td>" for i, c in zip(kept, looks, strict=True))
        body.append(f"<tr{' class=is-best' if line.number in best else ''}>{cells}</tr>")
    left_out = len(report.trials) - len(shown)
    more = f"<p class='soft'>The first {left_out:,} are left out.</p>" if left_out else ""
    table = f"<table><tr>{head}</tr>{''.join(body)}</table>"
    return f"<h2>Trials</h2>{more}<div class='scroll'>{table}</div>"


def _trial_row(
    line: TrialLine, results: Sequence[Spread], params: Mapping[str, Spread]
) -> tuple[str, ...]:
    values = values_text(line, results)
    state = "" if line.state == "complete" else f" {STATES.get(line.state, line.state)}"
    return (
        str(line.number),
        html(f"{values}{state}".strip()),
        f"{_dot(kind_of_line(line))}{html(line.source or SOURCES['other'])}",
        html(line.why),
        html(params_line(line, params), 600),
    )
