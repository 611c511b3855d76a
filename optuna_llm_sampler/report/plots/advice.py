"""Per parameter: what the model proposed, how that moved, and where good trials are."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any
from typing import TYPE_CHECKING

from ..._extras import need
from ..._text import hover
from ..._text import number
from .info import COLORS
from .info import studies_of
from .params import param_panels
from .params import ParamPanel
from .params import Proposed


if TYPE_CHECKING:
    from optuna.study import Study
    import plotly.graph_objects as go


_TITLE = "The Model's Advice and the Trials"
BAND = "rgba(239, 85, 59, 0.18)"
GOOD = "#00CC96"


def plot_advice(study: Study | Sequence[Study], params: Sequence[str] | None = None) -> go.Figure:
    """Plot, for each parameter, what the model advised over time and where the trials went.

    For a number, the band is the range of the configurations that the model proposed, from the
    trial on which the advice lies until the next one; the dotted line is their median. For a
    choice, the mark is the larger, the more of the configurations have it. The better quarter of
    the trials is green.

    Args:
        study:
            A study, or several to be compared.
        params:
            Names of the parameters. :obj:`None`: all of them.

    Returns:
        A :class:`plotly.graph_objects.Figure`.

    Raises:
        MissingExtraError: plotly is not installed.
        ValueError: A parameter is in none of the studies.
    """
    go = need("plotly.graph_objects", "plot_advice", "plot")
    subplots = need("plotly.subplots", "plot_advice", "plot")
    studies = studies_of(study)
    found = param_panels(studies, params)
    if not found:
        return go.Figure(layout=go.Layout(title=_TITLE))
    rows, cols = grid(len(found), len(studies))
    figure = subplots.make_subplots(
        rows=rows,
        cols=cols,
        subplot_titles=[title_of(panel, several=len(studies) > 1) for panel in found],
        vertical_spacing=min(0.2, 0.5 / rows),
        horizontal_spacing=min(0.09, 0.4 / cols),
    )
    shown: set[str] = set()
    for i, panel in enumerate(found):
        row, col = i // cols + 1, i % cols + 1
        for trace in _traces(go, panel):
            trace.legendgroup = trace.name
            trace.showlegend = trace.name not in shown
            shown.add(trace.name)
            figure.add_trace(trace, row=row, col=col)
        figure.update_yaxes(**_axis(panel), row=row, col=col)
        if row == rows or i + cols >= len(found):
            figure.update_xaxes(title="Trial", row=row, col=col)
    figure.update_layout(title=_TITLE, height=max(450, 120 + 260 * rows), showlegend=True)
    return figure


def grid(n: int, n_studies: int) -> tuple[int, int]:
    """Return rows and columns for so many panels; several studies stand side by side."""
    cols = n_studies if n_studies > 1 else max(min(3, math.ceil(n**0.5)), 1)
    return max(math.ceil(n / cols), 1), cols


def title_of(panel: ParamPanel, *, several: bool) -> str:
    text = f"{panel.param} of {panel.study}" if several else panel.param
    return hover(text, width=200)


def _axis(panel: ParamPanel) -> dict[str, Any]:
    if not panel.labels:
        if not panel.log:
            return {}
        marks = [value for _, value, _ in panel.trials if value > 0]
        marks += [mark for p in panel.proposed for mark in (p.low, p.high) if mark > 0]
        # Between the powers of ten there is no room for more, unless there are hardly any.
        is_wide = len(marks) > 1 and max(marks) / min(marks) > 12
        room = {"dtick": 1} if is_wide else {"nticks": 4}
        return {"type": "log", "exponentformat": "power", **room}
    ticks = list(range(len(panel.labels)))
    return {
        "tickvals": ticks,
        "ticktext": [hover(label, width=100) for label in panel.labels],
        "range": [-0.5, len(ticks) - 0.5],
    }


def _traces(go: Any, panel: ParamPanel) -> list[Any]:
    traces = []
    if panel.proposed:
        traces += _band(go, panel)
    if panel.shares:
        traces.append(_bubbles(go, panel))
    for name, color, size, wanted in (
        ("Trial", "#8C9AB5", 5, False),
        ("Trial in the better quarter", GOOD, 8, True),
    ):
        mine = [(n, v) for n, v, good in panel.trials if good == wanted]
        if mine:
            marker = {"color": color, "size": size}
            traces.append(_marks(go, mine, name, marker, [_trial_text(panel, *m) for m in mine]))
    return traces


def _trial_text(panel: ParamPanel, n: int, value: float) -> str:
    return f"Trial {n}: {hover(value_text(panel, value))}"


def value_text(panel: ParamPanel, value: float) -> str:
    return panel.labels[int(value)] if panel.labels else number(value, 4)


def _marks(go: Any, marks: Sequence[Any], name: str, marker: Any, texts: Sequence[str]) -> Any:
    return go.Scatter(
        x=[mark[0] for mark in marks],
        y=[mark[1] for mark in marks],
        mode="markers",
        name=name,
        marker=marker,
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def steps(panel: ParamPanel) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return x, low, median and high of the proposed ranges, each lasting until the next."""
    x: list[float] = []
    low: list[float] = []
    median: list[float] = []
    high: list[float] = []
    ends = [proposed.trial for proposed in panel.proposed[1:]] + [max(panel.last, 1)]
    for proposed, end in zip(panel.proposed, ends, strict=True):
        x += [proposed.trial, max(end, proposed.trial)]
        low += [proposed.low] * 2
        median += [proposed.median] * 2
        high += [proposed.high] * 2
    return x, low, median, high


def _band(go: Any, panel: ParamPanel) -> list[Any]:
    x, low, median, high = steps(panel)
    edge = go.Scatter(
        x=x + x[::-1],
        y=high + low[::-1],
        mode="lines",
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        name="The model's range",
        hoverinfo="skip",
    )
    color = COLORS["llm"]
    line = go.Scatter(
        x=x,
        y=median,
        mode="lines",
        line={"color": color, "width": 1.5, "dash": "dot"},
        name="The model's median",
        hoverinfo="skip",
    )
    marks = [(p.trial, p.median) for p in panel.proposed]
    marker = {"color": color, "symbol": "diamond", "size": 8}
    texts = [_range_text(p) for p in panel.proposed]
    return [edge, line, _marks(go, marks, "The model's advice", marker, texts)]


def _range_text(proposed: Proposed) -> str:
    low, median, high = (number(v, 4) for v in (proposed.low, proposed.median, proposed.high))
    return (
        f"The model's configurations (trial {proposed.trial}):<br>{low} to {high}, median {median}"
    )


def _bubbles(go: Any, panel: ParamPanel) -> Any:
    marks = [(t, i, share) for t, shares in panel.shares for i, share in shares.items()]
    marker = {
        "color": BAND,
        "size": [8 + 30 * math.sqrt(share) for _, _, share in marks],
        "line": {"color": COLORS["llm"], "width": 1.5},
    }
    texts = [
        f"The model's configurations (trial {t}):<br>{hover(panel.labels[i])}, {share:.0%} of them"
        for t, i, share in marks
    ]
    return _marks(go, marks, "The model's advice", marker, texts)
