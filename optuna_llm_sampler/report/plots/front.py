"""Two objectives against each other, coloured by where each trial's parameters came from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from optuna.study import Study

from ..._extras import need
from ..._study.keys import kind_of
from ..._study.keys import KINDS
from ..._study.objectives import best_trials
from ..._study.objectives import losses_of
from ..._text import hover
from .info import COLORS
from .info import LINE_COLOR
from .info import metric_names
from .info import NAMES
from .info import point
from .info import read


if TYPE_CHECKING:
    import plotly.graph_objects as go


_TITLE = "Pareto Front by Source"


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
    directions = study.directions
    if len(set(objectives)) != 2 or not all(0 <= i < len(directions) for i in objectives):
        raise ValueError(
            f"objectives must be two of the study's {len(directions)}; got {objectives!r}."
        )
    go = need("plotly.graph_objects", "plot_front", "plot")
    x, y = objectives
    trials = [
        trial
        for trial in read(study).trials
        if trial.state.is_finished()
        and trial.values
        and all(map(math.isfinite, (trial.values[x], trial.values[y])))
    ]
    best = {trial.number for trial in best_trials(trials, directions)}
    figure = go.Figure()
    if len(directions) == 2:
        front = sorted((t.values[x], t.values[y]) for t in trials if t.number in best)
        figure.add_scatter(
            x=[a for a, _ in front],
            y=[b for _, b in front],
            mode="lines",
            name="Pareto front",
            line={"color": LINE_COLOR, "width": 2},
            hoverinfo="skip",
        )
    for kind in KINDS:
        mine = [trial for trial in trials if kind_of(trial) == kind]
        if mine:
            feasible = [losses_of(trial, directions) is not None for trial in mine]
            figure.add_scatter(
                x=[trial.values[x] for trial in mine],
                y=[trial.values[y] for trial in mine],
                mode="markers",
                name=NAMES[kind],
                marker={
                    "color": COLORS[kind],
                    "size": [12 if trial.number in best else 7 for trial in mine],
                    "symbol": ["circle" if good else "circle-open" for good in feasible],
                },
                text=["<br>".join(map(hover, point(t, math.nan).lines)) for t in mine],
                hovertemplate="%{x:.4g}, %{y:.4g}<br>%{text}<extra></extra>",
            )
    names = metric_names(study)
    figure.update_xaxes(title=hover(names[x]))
    figure.update_yaxes(title=hover(names[y]))
    figure.update_layout(title=_TITLE, showlegend=True)
    return figure
