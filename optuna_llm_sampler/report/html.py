"""A report as one self-contained HTML page: no script, nothing loaded."""

from __future__ import annotations

from .._text import html, plain
from .plots.data import history_of
from .plots.svg import draw
from .report import Report, TrialLine
from .sources import SOURCES
from .text import budget, headline, params_line, Row, Section, sections, source_text, STATES, usd


# More rows make a page that browsers scroll slowly.
_MOST_TRIALS = 1_000

_CSS = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #626b7c; --line: #dde1e8;
  --card: #f6f7f9; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #9aa3b2; --line: #363c48;
  --card: #22262e; --page: #181b20; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { overflow-wrap: anywhere; margin: .4rem 0; }
.soft { color: var(--soft); }
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
    colors = "".join(
        f"svg .{s.kind} {{ stroke: {SOURCES[s.kind].color}; }} svg .{s.kind}:not(.pruned), "
        f".dot.{s.kind} {{ fill: {SOURCES[s.kind].color}; background: {SOURCES[s.kind].color}; }}"
        for s in report.sources
    )
    parts = (
        f"<h1>{html(report.study)}</h1><p class='soft'>{html(headline(report), 400)}</p>",
        _cards(report),
        _charts(report),
        *map(_section, sections(report, most_advice=_MOST_TRIALS)),
        _trials(report),
        "<footer>Written by optuna-llm-sampler.</footer>",
    )
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        # Should the escaping fail, still no script runs and nothing is loaded.
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html(report.study)}</title><style>{_CSS}{colors}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _cards(report: Report) -> str:
    cards = []
    for line in report.best[:1]:
        n = len(report.best)
        front = f", one of {n} on the Pareto front" if n > 1 else ""
        below = f"trial {line.number}, {source_text(line)}{front}"
        cards.append(("Best", report.values_text(line), below))
    if report.share is not None:
        why = "fixed" if report.is_fixed else "from its results so far"
        cards.append(("The model's share of the next trials", f"{report.share:.0%}", why))
    total = report.total
    if report.calls:
        tokens = f"{total.tokens:,} tokens" if total.tokens else "tokens unknown"
        cards.append(("Calls to the model", f"{total.requests:,}", tokens))
        price = "unknown" if total.usd is None else usd(total.usd)
        cards.append(("Cost", price, f"{plain(total.model, 60)} {budget(report)}"))
    inner = "".join(
        f"<div class='card'><span class='soft'>{html(a)}</span><b>{html(b)}</b>"
        f"<span class='soft'>{html(c)}</span></div>"
        for a, b, c in cards
    )
    return f"<div class='cards'>{inner}</div>"


def _charts(report: Report) -> str:
    entries = [_dot(s.kind) + html(SOURCES[s.kind].name) for s in report.sources]
    entries += ["hollow: pruned"] * ("pruned" in report.states)
    entries += ["×: failed"] * ("fail" in report.states)
    legend = "".join(f"<span>{entry}</span>" for entry in entries)
    last = max((line.number for line in report.trials), default=0)
    charts = (
        draw(history_of(report, i), name, last) for i, name in enumerate(report.objective_names)
    )
    return f"<h2>History</h2><p class='legend soft'>{legend}</p>{''.join(charts)}"


def _dot(kind: str) -> str:
    return f"<i class='dot {kind}'></i>"


def _section(section: Section) -> str:
    lines = "".join(f"<p>{html(line, 2_000)}</p>" for line in section.lines)
    dots = [_dot(kind) for kind in section.kinds] or [""] * len(section.table)
    rows = [
        [dot + html(row[0]), *map(html, row[1:])]
        for dot, row in zip(dots, section.table[1:], strict=False)
    ]
    table = _table(section.table[0], rows) if rows else ""
    return f"<h2>{section.title}</h2>{lines}{table}"


def _table(head: Row, rows: list[list[str]], best: frozenset[int] = frozenset()) -> str:
    """Write a table of cells that are HTML; rows in ``best`` are highlighted."""
    heads = "".join(f"<th>{cell}</th>" for cell in head)
    body = []
    for i, row in enumerate(rows):
        looks = ("text" if name in _LONG else "nowrap" for name in head)
        cells = "".join(f"<td class='{c}'>{x}</td>" for c, x in zip(looks, row, strict=True))
        body.append(f"<tr{' class=is-best' if i in best else ''}>{cells}</tr>")
    return f"<div class='scroll'><table><tr>{heads}</tr>{''.join(body)}</table></div>"


_LONG = ("The model's reason", "Parameters")
_TRIAL_HEAD = ("Trial", "Value", "Source", *_LONG)


def _trials(report: Report) -> str:
    shown = report.trials[-_MOST_TRIALS:]
    rows = [_trial_row(report, line) for line in shown]
    kept = [i for i in range(len(_TRIAL_HEAD)) if any(row[i] for row in rows)]
    best = frozenset(i for i, line in enumerate(shown) if line in report.best)
    left_out = len(report.trials) - len(shown)
    more = f"<p class='soft'>The first {left_out:,} are left out.</p>" if left_out else ""
    head = [_TRIAL_HEAD[i] for i in kept]
    table = _table(head, [[row[i] for i in kept] for row in rows], best)
    return f"<h2>Trials</h2>{more}{table}" if rows else ""


def _trial_row(report: Report, line: TrialLine) -> list[str]:
    state = "" if line.state == "complete" else f" {STATES.get(line.state, line.state)}"
    return [
        str(line.number),
        html(f"{report.values_text(line)}{state}".strip()),
        f"{_dot(line.kind)}{html(line.source or SOURCES['other'].name)}",
        html(line.why),
        html(params_line(report, line), 600),
    ]
