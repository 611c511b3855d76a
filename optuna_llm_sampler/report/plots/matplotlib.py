"""The plots of :mod:`optuna_llm_sampler.visualization`, drawn by Matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from typing import TYPE_CHECKING

from ..._extras import need
from ..._store.prices import Price
from ..._text import plain
from .advice import GOOD
from .advice import grid
from .advice import steps
from .info import COLORS
from .info import History
from .info import LINE_COLOR
from .info import NAMES
from .info import Panel
from .info import panels
from .info import studies_of
from .params import param_panels
from .params import ParamPanel
from .usage import FAILED
from .usage import usage_panels
from .usage import UsagePanel


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.study import Study
    from optuna.trial import FrozenTrial


__all__ = ["is_available", "plot_advice", "plot_llm_usage", "plot_sources"]

# Optuna's own choice for plots that look like plotly's.
_STYLE = "ggplot"
_KIND_MARKERS = {"defaults": "D", "history": "d", "llm": "*", "enqueued": "s"}
_STUDY_MARKERS = ("o", "s", "D", "^", "*", "p")
_LINES = ("-", "--", ":", "-.")


def is_available() -> bool:
    """Return whether Matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot_sources(
    study: Study | Sequence[Study],
    *,
    target: Callable[[FrozenTrial], float] | None = None,
    target_name: str = "Objective Value",
) -> Axes | Sequence[Axes]:
    """Plot the optimization history, coloured by the source of the parameters, with Matplotlib.

    .. seealso::
        :func:`optuna_llm_sampler.visualization.plot_sources` for the arguments.

    Returns:
        A :class:`matplotlib.axes.Axes`, or one for each of several objectives.
    """
    rows = panels(studies_of(study), target, target_name)
    axes = _subplots(len(rows), 1, "Optimization History by Source", share=True)
    with _style():
        for ax, panel in zip(axes, rows, strict=True):
            _draw_history(ax, panel)
            ax.set_ylabel(_text(panel.title))
        axes[-1].set_xlabel("Trial")
        _legend(axes[0])
    return _one(axes)


def plot_advice(
    study: Study | Sequence[Study], params: Sequence[str] | None = None
) -> Axes | Sequence[Axes]:
    """Plot what the model advised for each parameter and where trials went, with Matplotlib.

    .. seealso::
        :func:`optuna_llm_sampler.visualization.plot_advice` for the arguments.

    Returns:
        A :class:`matplotlib.axes.Axes`, or one for each of several parameters.
    """
    studies = studies_of(study)
    found = param_panels(studies, params)
    several = len(studies) > 1
    rows, cols = grid(len(found), len(studies))
    axes = _subplots(rows, cols, "The Model's Advice and the Trials")
    with _style():
        for ax, panel in zip(axes, found, strict=False):
            _draw_param(ax, panel)
            ax.set_title(
                _text(f"{panel.param} of {panel.study}" if several else panel.param), size=10
            )
            ax.set_xlabel("Trial")
        for ax in axes[max(len(found), 1) :]:
            ax.remove()
        if found:
            _legend(axes[min(cols, len(found)) - 1])
    return _one(axes[: max(len(found), 1)])


def plot_llm_usage(
    study: Study | Sequence[Study], *, price: Price | None = None
) -> Axes | Sequence[Axes]:
    """Plot tokens, seconds and cost of the calls to the model, with Matplotlib.

    .. seealso::
        :func:`optuna_llm_sampler.visualization.plot_llm_usage` for the arguments.

    Returns:
        One :class:`matplotlib.axes.Axes` for each quantity.
    """
    rows = usage_panels(studies_of(study), price)
    axes = _subplots(len(rows), 1, "Use of the Model", share=True)
    with _style():
        for ax, panel in zip(axes, rows, strict=True):
            _draw_usage(ax, panel)
            ax.set_ylabel(panel.title)
            ax.set_ylim(bottom=0)
            _legend(ax)
        axes[-1].set_xlabel("Trial on which the answer lies")
    return _one(axes)


def _plt() -> Any:
    return need("matplotlib.pyplot", "This plot", "plot")


def _style() -> Any:
    """Optuna sets its style for good; a context leaves the user's own settings alone."""
    return _plt().style.context(_STYLE)


def _subplots(rows: int, cols: int, title: str, *, share: bool = False) -> list[Any]:
    plt = _plt()
    with _style():
        size = (max(4.2 * cols + 2, 7), 4.8 if rows == 1 else 2.6 * rows + 0.8)
        figure, axes = plt.subplots(
            rows, cols, squeeze=False, sharex=share, figsize=size, layout="constrained"
        )
        figure.suptitle(title)
    return list(axes.flat)


def _one(axes: list[Axes]) -> Axes | Sequence[Axes]:
    return axes[0] if len(axes) == 1 else axes


def _legend(ax: Any) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(bbox_to_anchor=(1.01, 1.0), loc="upper left", fontsize=8)


def _text(text: str) -> str:
    """Keep Matplotlib from reading formulas in names."""
    return plain(text).replace("$", r"\$")


def _draw_history(ax: Any, panel: Panel) -> None:
    several = len(panel.histories) > 1
    for i, history in enumerate(panel.histories):
        suffix = f" of {_text(history.study)}" if several else ""
        if history.best:
            x, y = zip(*history.best, strict=True)
            style = _LINES[i % len(_LINES)]
            ax.step(x, y, style, where="post", color=LINE_COLOR, label=f"Best Value{suffix}")
        for kind in panel.kinds:
            marker = _STUDY_MARKERS[i % 6] if several else _KIND_MARKERS.get(kind, "o")
            _draw_kind(ax, history, kind, marker, NAMES[kind] + suffix)
        if history.failed:
            values = [p.value for p in history.points] or [0.0]
            edge = min(values) - 0.04 * ((max(values) - min(values)) or 1.0)
            x, colors = zip(*((p.number, COLORS[p.kind]) for p in history.failed), strict=True)
            ax.scatter(x, [edge] * len(x), c=list(colors), marker="x", label=f"Failed{suffix}")


def _draw_kind(ax: Any, history: History, kind: str, marker: str, name: str) -> None:
    size = 90 if marker == "*" else 28
    for pruned in (False, True):
        points = [p for p in history.points if p.kind == kind and p.pruned == pruned]
        if points:
            ax.scatter(
                [p.number for p in points],
                [p.value for p in points],
                s=size,
                marker=marker,
                edgecolors=COLORS[kind],
                facecolors="none" if pruned else COLORS[kind],
                label=f"{name} (pruned)" if pruned else name,
                zorder=3,
            )


def _draw_param(ax: Any, panel: ParamPanel) -> None:
    color = COLORS["llm"]
    if panel.log:
        ax.set_yscale("log")
    if panel.labels:
        ax.set_yticks(range(len(panel.labels)), [_text(label) for label in panel.labels])
        ax.set_ylim(-0.5, len(panel.labels) - 0.5)
    if panel.proposed:
        x, low, median, high = steps(panel)
        ax.fill_between(x, low, high, color=color, alpha=0.18, lw=0, label="The model's range")
        ax.plot(x, median, ":", color=color)
        marks = [(p.trial, p.median) for p in panel.proposed]
        ax.scatter(*zip(*marks, strict=True), c=color, marker="D", label="The model's advice")
    for j, (trial, shares) in enumerate(panel.shares):
        sizes = [60 + 600 * share for share in shares.values()]
        label = "The model's advice" if j == 0 else None
        x_all = [trial] * len(shares)
        ax.scatter(x_all, list(shares), s=sizes, c=color, alpha=0.25, label=label)
    for name, dot, size, wanted in (
        ("Trial", "#8C9AB5", 12, False),
        ("Trial in the better quarter", GOOD, 36, True),
    ):
        mine = [(n, v) for n, v, good in panel.trials if good == wanted]
        if mine:
            ax.scatter(*zip(*mine, strict=True), c=dot, s=size, label=name, zorder=3)


def _draw_usage(ax: Any, panel: UsagePanel) -> None:
    for name, line in panel.lines.items():
        if line:
            ax.step(*zip(*line, strict=True), "o-", where="post", label=_text(name), ms=4)
    for suffix, calls in panel.calls.items():
        for failed, name in ((False, "Advice"), (True, "Call without advice")):
            mine = [(trial, value) for trial, value, bad, _ in calls if bad == failed]
            if mine:
                look = {"color": FAILED, "marker": "x"} if failed else {}
                ax.scatter(*zip(*mine, strict=True), label=_text(name + suffix), **look)
