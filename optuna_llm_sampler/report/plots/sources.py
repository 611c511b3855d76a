"""The history of a study, coloured by where each trial's parameters came from."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TYPE_CHECKING

from ..._extras import need
from ..._text import hover
from .info import COLORS
from .info import History
from .info import LINE_COLOR
from .info import NAMES
from .info import Panel
from .info import panels
from .info import Point
from .info import studies_of


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    import plotly.graph_objects as go


_TITLE = "Optimization History by Source"
# By study, when there are several; else by source, so that colour is not all that tells.
_STUDY_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "pentagon")
_KIND_SYMBOLS = {
    "defaults": "diamond",
    "history": "diamond-wide",
    "llm": "star",
    "base": "circle",
    "fallback": "circle",
    "enqueued": "square",
    "other": "circle",
}
_KIND_SIZES = {"llm": 12, "defaults": 10, "history": 10, "enqueued": 9}
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def plot_sources(
    study: Study | Sequence[Study],
    *,
    target: Callable[[FrozenTrial], float] | None = None,
    target_name: str = "Objective Value",
) -> go.Figure:
    """Plot the optimization history of a study, coloured by the source of the parameters.

    Pointing at a trial shows its source, the model's reason and the parameters. Pruned trials are
    hollow, with their last intermediate value; failed ones are crosses on the edge of the plot.

    Args:
        study:
            A study, or several to be compared.
        target:
            What to plot of a trial. :obj:`None`: its value, with the best value so far; for
            several objectives, one plot for each.
        target_name:
            Name of the target on the axis.

    Returns:
        A :class:`plotly.graph_objects.Figure`.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    go = need("plotly.graph_objects", "plot_sources", "plot")
    subplots = need("plotly.subplots", "plot_sources", "plot")
    rows = panels(studies_of(study), target, target_name)
    figure = subplots.make_subplots(rows=len(rows), cols=1, shared_xaxes=True)
    shown: set[str] = set()
    for i, panel in enumerate(rows, start=1):
        for trace in _traces(go, panel, shown):
            figure.add_trace(trace, row=i, col=1)
        figure.update_yaxes(title=hover(panel.title), row=i, col=1)
    figure.update_xaxes(title="Trial", row=len(rows), col=1)
    figure.update_layout(title=_TITLE, showlegend=True)
    if len(rows) > 1:
        figure.update_layout(height=150 + 300 * len(rows))
    return figure


def _traces(go: Any, panel: Panel, shown: set[str]) -> list[Any]:
    traces = []
    several = len(panel.histories) > 1
    for i, history in enumerate(panel.histories):
        suffix = f" of {hover(history.study)}" if several else ""
        if history.best:
            line = {"color": LINE_COLOR, "width": 2, "dash": _DASHES[i % len(_DASHES)]}
            line["shape"] = "hv"
            traces.append(
                go.Scatter(
                    x=[n for n, _ in history.best],
                    y=[v for _, v in history.best],
                    mode="lines",
                    line=line,
                    name=f"Best Value{suffix}",
                    hoverinfo="skip",
                )
            )
        for kind in panel.kinds:
            symbol = _STUDY_SYMBOLS[i % len(_STUDY_SYMBOLS)] if several else _KIND_SYMBOLS[kind]
            traces += _dots(go, history, kind, symbol, NAMES[kind] + suffix)
        traces += _crosses(go, history, f"Failed{suffix}")
    for trace in traces:  # one entry in the legend, however many rows there are
        trace.legendgroup = trace.name
        trace.showlegend = trace.name not in shown
        shown.add(trace.name)
    return traces


def _dots(go: Any, history: History, kind: str, symbol: str, name: str) -> list[Any]:
    points = [p for p in history.points if p.kind == kind]
    if not points:
        return []
    marker = {
        "color": COLORS[kind],
        "size": _KIND_SIZES.get(kind, 7),
        "symbol": [f"{symbol}-open" if p.pruned else symbol for p in points],
        "line": {"color": COLORS[kind], "width": 1},
    }
    return [_scatter(go, points, [p.value for p in points], name, marker)]


def _crosses(go: Any, history: History, name: str) -> list[Any]:
    if not history.failed:
        return []
    values = [p.value for p in history.points] or [0.0]
    edge = min(values) - 0.04 * ((max(values) - min(values)) or 1.0)
    marker = {"color": [COLORS[p.kind] for p in history.failed], "symbol": "x-thin", "size": 7}
    marker["line"] = {"color": marker["color"], "width": 1.5}
    return [_scatter(go, history.failed, [edge] * len(history.failed), name, marker)]


def _scatter(go: Any, points: Sequence[Point], y: list[float], name: str, marker: Any) -> Any:
    return go.Scatter(
        x=[p.number for p in points],
        y=y,
        mode="markers",
        name=name,
        marker=marker,
        text=["<br>".join(hover(line) for line in p.lines) for p in points],
        hovertemplate="%{text}<extra></extra>",
    )
