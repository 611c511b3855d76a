"""The history of a study by source, drawn by Matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, TYPE_CHECKING

from ..._text import plain
from ...errors import need
from ..sources import SOURCES
from .data import History, LINE_COLOR, Panel, panels, studies_of


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.study import Study
    from optuna.trial import FrozenTrial


__all__ = ["is_available", "plot_sources"]

# Of several studies, each has a mark of its own; of one, each source.
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
    plt = need("matplotlib.pyplot", "This plot", "plot")
    rows = panels(studies_of(study), target, target_name)
    size = (7, 4.8 if len(rows) == 1 else 2.6 * len(rows) + 0.8)
    # Optuna sets this style for good; a context keeps the user's own settings.
    with plt.style.context("ggplot"):
        figure, grid = plt.subplots(
            len(rows), squeeze=False, sharex=True, figsize=size, layout="constrained"
        )
        figure.suptitle("Optimization History by Source")
        axes: list[Any] = list(grid.flat)
        for ax, panel in zip(axes, rows, strict=True):
            _draw_panel(ax, panel)
            ax.set_ylabel(_text(panel.title))
        axes[-1].set_xlabel("Trial")
        if axes[0].get_legend_handles_labels()[0]:
            axes[0].legend(bbox_to_anchor=(1.01, 1.0), loc="upper left", fontsize=8)
    return axes[0] if len(axes) == 1 else axes


def _text(text: str) -> str:
    """Keep Matplotlib from reading formulas in names."""
    return plain(text).replace("$", r"\$")


def _draw_panel(ax: Any, panel: Panel) -> None:
    several = len(panel.histories) > 1
    for i, history in enumerate(panel.histories):
        suffix = f" of {_text(history.study)}" if several else ""
        if history.best:
            marks = zip(*history.best, strict=True)
            style = _LINES[i % len(_LINES)]
            ax.step(*marks, style, where="post", color=LINE_COLOR, label=f"Best Value{suffix}")
        for kind in panel.kinds:
            marker = _STUDY_MARKERS[i % 6] if several else SOURCES[kind].marker
            _draw_kind(ax, history, kind, marker, suffix)
        if history.failed:
            x = [p.line.number for p in history.failed]
            colors = [SOURCES[p.line.kind].color for p in history.failed]
            y = [history.edge] * len(x)
            ax.scatter(x, y, c=colors, marker="x", label=f"Failed{suffix}")


def _draw_kind(ax: Any, history: History, kind: str, marker: str, suffix: str) -> None:
    color = SOURCES[kind].color
    for state in ("complete", "pruned"):
        points = [p for p in history.points if (p.line.kind, p.line.state) == (kind, state)]
        if points:
            ax.scatter(
                [p.line.number for p in points],
                [p.value for p in points],
                s=90 if marker == "*" else 28,
                marker=marker,
                edgecolors=color,
                facecolors="none" if state == "pruned" else color,
                label=SOURCES[kind].name + suffix + " (pruned)" * (state == "pruned"),
                zorder=3,
            )
