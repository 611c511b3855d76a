"""The plots of :mod:`optuna_llm_sampler.visualization`, drawn by plotly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
import math
from statistics import median_low
from typing import Any, TYPE_CHECKING

from ..._store.prices import Price
from ..._text import count, hover, number, plain
from ...errors import need
from ..report import AdviceLine, report
from ..sources import SOURCES
from .data import (
    History,
    LINE_COLOR,
    Panel,
    panels,
    param_panels,
    ParamPanel,
    Point,
    studies_of,
    texts_of,
)


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    import plotly.graph_objects as go


_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
# Of several studies, each has a symbol of its own; of one, each source.
_STUDY_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "pentagon")
_MODEL = SOURCES["llm"].color
_BAND = "rgba(239, 85, 59, 0.18)"
_GOOD = "#00CC96"


# --- plot_sources -----------------------------------------------------------------------------


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
            A study, or several to compare.
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
    for i, panel in enumerate(rows, start=1):
        _add(figure, _history_traces(go, panel), row=i, col=1)
        figure.update_yaxes(title=hover(panel.title), row=i, col=1)
    figure.update_xaxes(title="Trial", row=len(rows), col=1)
    figure.update_layout(title="Optimization History by Source", showlegend=True)
    if len(rows) > 1:
        figure.update_layout(height=150 + 300 * len(rows))
    return figure


def _add(figure: Any, traces: Sequence[Any], *, row: int, col: int) -> None:
    """Add traces to a subplot; those of one name share an entry in the legend."""
    for trace in traces:
        trace.legendgroup = trace.name
        trace.showlegend = trace.name not in {other.name for other in figure.data}
        figure.add_trace(trace, row=row, col=col)


def _history_traces(go: Any, panel: Panel) -> list[Any]:
    traces = []
    several = len(panel.histories) > 1
    for i, history in enumerate(panel.histories):
        suffix = f" of {hover(history.study)}" if several else ""
        if history.best:
            dash = _DASHES[i % len(_DASHES)]
            line = {"color": LINE_COLOR, "width": 2, "dash": dash, "shape": "hv"}
            traces.append(_line(go, history.best, f"Best Value{suffix}", line))
        for kind in panel.kinds:
            points = [p for p in history.points if p.line.kind == kind]
            source = SOURCES[kind]
            symbol = _STUDY_SYMBOLS[i % len(_STUDY_SYMBOLS)] if several else source.symbol
            marker = {
                "color": source.color,
                "size": source.size,
                "symbol": [symbol + "-open" * (p.line.state == "pruned") for p in points],
                "line": {"color": source.color, "width": 1},
            }
            traces += _points(go, points, source.name + suffix, marker)
        traces += _crosses(go, history, f"Failed{suffix}")
    return traces


def _crosses(go: Any, history: History, name: str) -> list[Any]:
    failed = [Point(p.line, history.edge, p.texts) for p in history.failed]
    colors = [SOURCES[p.line.kind].color for p in failed]
    marker = {"color": colors, "symbol": "x-thin", "size": 7}
    return _points(go, failed, name, {**marker, "line": {"color": colors, "width": 1.5}})


def _points(go: Any, points: Sequence[Point], name: str, marker: Any) -> list[Any]:
    marks = [(p.line.number, p.value) for p in points]
    texts = ["<br>".join(map(hover, p.texts)) for p in points]
    return [_marks(go, marks, name, marker, texts)] if points else []


def _marks(
    go: Any, marks: Sequence[Any], name: str, marker: Any, texts: Sequence[str], shown: str = ""
) -> Any:
    return go.Scatter(
        x=[mark[0] for mark in marks],
        y=[mark[1] for mark in marks],
        mode="markers",
        name=name,
        marker=marker,
        text=texts,
        hovertemplate=f"{shown}%{{text}}<extra></extra>",
    )


def _line(go: Any, marks: Sequence[tuple[float, float]], name: str, line: Any) -> Any:
    x, y = zip(*marks, strict=True)
    return go.Scatter(x=x, y=y, mode="lines", line=line, name=name, hoverinfo="skip")


# --- plot_front -------------------------------------------------------------------------------


def plot_front(study: Study, *, objectives: tuple[int, int] = (0, 1)) -> go.Figure:
    """Plot two objectives of a study against each other, coloured by source.

    Trials on the Pareto front are large, infeasible ones hollow. With two objectives, a line joins
    the front. Pointing at a trial shows its source, the model's reason and the parameters.

    Args:
        study:
            A study with several objectives.
        objectives:
            Which two of them, counted from 0.

    Returns:
        A :class:`plotly.graph_objects.Figure`.

    Raises:
        MissingExtraError: plotly is not installed.
        ValueError: The study has no such objectives.
    """
    n = len(study.directions)
    if len(set(objectives)) != 2 or not all(0 <= i < n for i in objectives):
        raise ValueError(f"objectives must be two of the study's {n}; got {objectives!r}.")
    go = need("plotly.graph_objects", "plot_front", "plot")
    x, y = objectives
    data = report(study)
    lines = [
        line
        for line in data.trials
        if line.state in ("complete", "pruned", "fail")
        and len(line.values) == n
        and all(math.isfinite(line.values[i]) for i in objectives)
    ]
    best = {line.number for line in data.best}
    figure = go.Figure()
    front = sorted((line.values[x], line.values[y]) for line in lines if line.number in best)
    if n == 2 and front:
        figure.add_trace(_line(go, front, "Pareto front", {"color": LINE_COLOR, "width": 2}))
    for kind, source in SOURCES.items():
        mine = [line for line in lines if line.kind == kind]
        if mine:
            marker = {
                "color": source.color,
                "size": [12 if line.number in best else 7 for line in mine],
                "symbol": ["circle" if line.is_valid else "circle-open" for line in mine],
            }
            texts = ["<br>".join(map(hover, texts_of(data, line))) for line in mine]
            marks = [(line.values[x], line.values[y]) for line in mine]
            shown = "%{x:.4g}, %{y:.4g}<br>"
            figure.add_trace(_marks(go, marks, source.name, marker, texts, shown))
    figure.update_xaxes(title=hover(data.objective_names[x]))
    figure.update_yaxes(title=hover(data.objective_names[y]))
    figure.update_layout(title="Pareto Front by Source", showlegend=True)
    return figure


# --- plot_advice ------------------------------------------------------------------------------


def plot_advice(study: Study | Sequence[Study], params: Sequence[str] | None = None) -> go.Figure:
    """Plot, for each parameter, what the model advised over time and which values trials had.

    For a number, the band is the range of the configurations in an advice, from the trial that
    stores it to the next advice; the dotted line is their median. For a choice, the size of a
    mark is its share of the configurations. The better quarter of the trials is green.

    Args:
        study:
            A study, or several to compare.
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
    title = "The Model's Advice and the Trials"
    if not found:
        return go.Figure(layout=go.Layout(title=title))
    # Several studies stand side by side.
    cols = len(studies) if len(studies) > 1 else min(3, math.ceil(len(found) ** 0.5))
    rows = math.ceil(len(found) / cols)
    several = len(studies) > 1
    titles = [f"{p.param} of {p.study}" if several else p.param for p in found]
    figure = subplots.make_subplots(
        rows=rows,
        cols=cols,
        subplot_titles=[hover(text, width=200) for text in titles],
        vertical_spacing=min(0.2, 0.5 / rows),
        horizontal_spacing=min(0.09, 0.4 / cols),
    )
    for i, panel in enumerate(found):
        row, col = i // cols + 1, i % cols + 1
        _add(figure, _param_traces(go, panel), row=row, col=col)
        figure.update_yaxes(**_axis(panel), row=row, col=col)
        if row == rows or i + cols >= len(found):
            figure.update_xaxes(title="Trial", row=row, col=col)
    figure.update_layout(title=title, height=max(450, 120 + 260 * rows), showlegend=True)
    return figure


def _axis(panel: ParamPanel) -> dict[str, Any]:
    if panel.labels:
        n = len(panel.labels)
        ticks = [hover(label, width=100) for label in panel.labels]
        return {"tickvals": list(range(n)), "ticktext": ticks, "range": [-0.5, n - 0.5]}
    if not panel.log:
        return {}
    marks = [value for _, value, _ in panel.trials if value > 0]
    marks += [value for _, values in panel.advice for value in values if value > 0]
    # Powers of ten only, where there are several.
    is_wide = len(marks) > 1 and max(marks) / min(marks) > 12
    return {
        "type": "log",
        "exponentformat": "power",
        **({"dtick": 1} if is_wide else {"nticks": 4}),
    }


def _param_traces(go: Any, panel: ParamPanel) -> list[Any]:
    traces = []
    if panel.advice:
        traces = [_bubbles(go, panel)] if panel.labels else _band(go, panel)
    for name, color, size, is_good in (
        ("Trial", "#8C9AB5", 5, False),
        ("Trial in the better quarter", _GOOD, 8, True),
    ):
        mine = [(n, value) for n, value, good in panel.trials if good == is_good]
        texts = [f"Trial {n}: {hover(_value_text(panel, value))}" for n, value in mine]
        if mine:
            traces.append(_marks(go, mine, name, {"color": color, "size": size}, texts))
    return traces


def _value_text(panel: ParamPanel, value: float) -> str:
    return panel.labels[int(value)] if panel.labels else number(value, 4)


def _band(go: Any, panel: ParamPanel) -> list[Any]:
    """Draw the range of the values in each advice until the next one."""
    starts = [trial for trial, _ in panel.advice]
    last = max([1, *starts, *(trial for trial, _, _ in panel.trials)])
    x = [t for pair in zip(starts, [*starts[1:], last], strict=True) for t in pair]
    rows = [(min(values), median_low(values), max(values)) for _, values in panel.advice]
    low, median, high = ([row[i] for row in rows for _ in range(2)] for i in range(3))
    outline = list(zip(x + x[::-1], high + low[::-1], strict=True))
    edge = _line(go, outline, "The model's range", {"width": 0})
    edge.update(fill="toself", fillcolor=_BAND)
    dotted = {"color": _MODEL, "width": 1.5, "dash": "dot"}
    line = _line(go, list(zip(x, median, strict=True)), "The model's median", dotted)
    marks = [(trial, row[1]) for trial, row in zip(starts, rows, strict=True)]
    marker = {"color": _MODEL, "symbol": "diamond", "size": 8}
    texts = [
        f"The model's configurations (trial {trial}):<br>"
        f"{number(row[0], 4)} to {number(row[2], 4)}, median {number(row[1], 4)}"
        for trial, row in zip(starts, rows, strict=True)
    ]
    return [edge, line, _marks(go, marks, "The model's advice", marker, texts)]


def _bubbles(go: Any, panel: ParamPanel) -> Any:
    """Draw the share of each choice in each advice."""
    marks = [
        (trial, value, n / len(values))
        for trial, values in panel.advice
        for value, n in sorted(Counter(values).items())
    ]
    marker = {
        "color": _BAND,
        "size": [8 + 30 * math.sqrt(share) for _, _, share in marks],
        "line": {"color": _MODEL, "width": 1.5},
    }
    texts = [
        f"The model's configurations (trial {trial}):<br>"
        f"{hover(_value_text(panel, value))}, {share:.0%} of them"
        for trial, value, share in marks
    ]
    return _marks(go, marks, "The model's advice", marker, texts)


# --- plot_llm_usage ---------------------------------------------------------------------------


def plot_llm_usage(study: Study | Sequence[Study], *, price: Price | None = None) -> go.Figure:
    """Plot tokens, seconds and cost of the calls for advice over the trials.

    Args:
        study:
            A study, or several to compare.
        price:
            Price of the model, for all calls. :obj:`None`: what the sampler knew when it called.
            The cost is plotted where it is known and not zero.

    Returns:
        A :class:`plotly.graph_objects.Figure`.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    go = need("plotly.graph_objects", "plot_llm_usage", "plot")
    subplots = need("plotly.subplots", "plot_llm_usage", "plot")
    reports = [report(each, price=price) for each in studies_of(study)]
    is_paid = any(line.call.usd for data in reports for line in data.advice)
    titles = ["Tokens so far", "Seconds per call"] + ["USD so far"] * is_paid
    figure = subplots.make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.08
    )
    sums = [("Tokens in", "input_tokens", 1), ("Tokens out", "output_tokens", 1)]
    sums += [("Cost", "usd", 3)] * is_paid
    for i, data in enumerate(reports):
        suffix = f" of {plain(data.study, 60)}" if len(reports) > 1 else ""
        for name, field, row in sums:
            if marks := _running(data.advice, field):
                line = {"shape": "hv", "dash": _DASHES[i % len(_DASHES)]}
                trace = _line(go, marks, hover(name + suffix, width=200), line)
                trace.update(mode="lines+markers", hoverinfo=None)
                figure.add_trace(trace, row=row, col=1)
        for trace in _call_traces(go, data.advice, suffix):
            figure.add_trace(trace, row=2, col=1)
    for row, title in enumerate(titles, start=1):
        figure.update_yaxes(title=title, rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title="Trial", row=len(titles), col=1)
    height = 120 + 200 * len(titles)
    figure.update_layout(title="Use of the Model", height=height, showlegend=True)
    return figure


def _running(advice: Sequence[AdviceLine], field: str) -> list[tuple[float, float]]:
    """Sum up a field of the calls, trial by trial, where it is known."""
    total = 0.0
    found = []
    for line in sorted(advice, key=lambda line: line.trial):
        amount = getattr(line.call, field)
        if amount is not None:
            total += amount
            found.append((float(line.trial), total))
    return found


def _call_traces(go: Any, advice: Sequence[AdviceLine], suffix: str) -> list[Any]:
    traces = []
    for is_ok, name, marker in (
        (True, "Advice", {"size": 9, "symbol": "circle"}),
        (False, "Call without advice", {"size": 9, "symbol": "x", "color": _MODEL}),
    ):
        mine = [line for line in advice if (line.outcome == "ok") == is_ok]
        if mine:
            marks = [(line.trial, line.call.seconds) for line in mine]
            texts = [hover(_call_text(line)) for line in mine]
            traces.append(_marks(go, marks, hover(name + suffix, width=200), marker, texts))
    return traces


def _call_text(line: AdviceLine) -> str:
    tokens = f"{count(line.call.input_tokens)} tokens in, {count(line.call.output_tokens)} out"
    return (
        f"Trial {line.trial}: {line.outcome}, {line.call.seconds:.1f} s, {tokens}, "
        f"{line.used} of {line.configs} configurations used ({plain(line.call.model, 60)})"
    )
