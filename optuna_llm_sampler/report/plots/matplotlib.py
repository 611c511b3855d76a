"""The history of a study by source, drawn by Matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from typing import TYPE_CHECKING

from ..._extras import need
from ..._text import plain
from .info import COLORS
from .info import History
from .info import LINE_COLOR
from .info import NAMES
from .info import Panel
from .info import panels
from .info import studies_of


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.study import Study
    from optuna.trial import FrozenTrial


__all__ = ["is_available", "plot_sources"]

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
    axes = _subplots(len(rows))
    with _style():
        for ax, panel in zip(axes, rows, strict=True):
            _draw_history(ax, panel)
            ax.set_ylabel(_text(panel.title))
        axes[-1].set_xlabel("Trial")
        _legend(axes[0])
    return axes[0] if len(axes) == 1 else axes


def _plt() -> Any:
    return need("matplotlib.pyplot", "This plot", "plot")


def _style() -> Any:
    """Optuna sets its style for good; a context leaves the user's own settings alone."""
    return _plt().style.context(_STYLE)


def _subplots(rows: int) -> list[Any]:
    plt = _plt()
    with _style():
        size = (7, 4.8 if rows == 1 else 2.6 * rows + 0.8)
        figure, axes = plt.subplots(
            rows, squeeze=False, sharex=True, figsize=size, layout="constrained"
        )
        figure.suptitle("Optimization History by Source")
    return list(axes.flat)


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
