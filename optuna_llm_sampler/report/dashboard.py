"""What lies in optuna-dashboard: one study note, and the plots on the study's page.

Never a note per trial: the dashboard looks through all of a study's attributes for each
(``optuna_dashboard/_note.py``), 5.7 s of CPU for each refresh at 3,000 trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from datetime import timezone
from typing import Any
from typing import TYPE_CHECKING

from optuna.logging import get_logger

from .._extras import need
from .._store.prices import Price
from .._study import keys as _keys
from .facts import importances
from .plots.plotly import plot_advice
from .plots.plotly import plot_front
from .plots.plotly import plot_llm_usage
from .plots.plotly import plot_sources
from .report import report
from .text import to_markdown


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")

# The note is stored in the study's attributes, which samplers and the dashboard read again and
# again: it stays within a few of the dashboard's chunks of 2,045 characters.
_MAX_NOTE_CHARS = 12_000
# Link definitions are the one thing in Markdown that no renderer shows.
_BEGIN = "[//]: # (optuna-llm-sampler: {0})"
_END = "[//]: # (optuna-llm-sampler: end of {0})"


def write_note(study: Study, *, price: Price | None = None) -> None:
    """Write the report of a study into its note in optuna-dashboard.

    What else is in the note, before and after the report, stays as it is.

    Args:
        study:
            The study.
        price:
            What the model costs, for all calls. :obj:`None`: what the sampler knew when it called.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.
    """
    data = report(study, price=price)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    head = f"## Language model report\n\n*As of {now}.*"
    put_section(study, "report", f"{head} {to_markdown(data)}")


def put_section(study: Study, name: str, body: str) -> None:
    """Put a text into the study note, in the place of an earlier one of the same name."""
    dashboard = need("optuna_dashboard", "The study note", "dashboard")
    old = str(dashboard.get_note(study))
    new = _replaced(old, name, body.strip()[:_MAX_NOTE_CHARS])
    if new != old:
        dashboard.save_note(study, new)


def _replaced(note: str, name: str, body: str) -> str:
    begin, end = _BEGIN.format(name), _END.format(name)
    section = f"{begin}\n\n{body}\n\n{end}"
    before, found, rest = note.partition(begin)
    if not found:
        return f"{note.rstrip()}\n\n{section}\n".lstrip()
    # Without its end, which a person may have deleted, it goes to the end of the note.
    after = rest.partition(end)[2]
    return f"{before}{section}{after}"


class LLMNoteCallback:
    """Keep a study's note in optuna-dashboard up to date.

    The note is rewritten when a trial ends on which an answer of the model lies: at most once per
    advice, by the worker that asked. It costs other trials nothing.

    Args:
        price:
            What the model costs, for all calls. :obj:`None`: what the sampler knew when it called.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.

    Example:

        .. code-block:: python

            study.optimize(objective, n_trials=50, callbacks=[LLMNoteCallback()])
            write_note(study)  # once more, with the last trials
    """

    def __init__(self, *, price: Price | None = None) -> None:
        need("optuna_dashboard", "LLMNoteCallback", "dashboard")
        self._price = price

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        if not has_advice(trial):
            return
        try:
            write_note(study, price=self._price)
        except Exception as error:  # a note is no reason to end a study
            _logger.warning(f"The study note could not be written: {error!r}")


def has_advice(trial: FrozenTrial) -> bool:
    """Tell whether the result of a call to the model lies on a trial."""
    # A retried trial carries a copy of its predecessor's, which names the other trial.
    return any(
        key.startswith(_keys.RECORD)
        and isinstance(value, Mapping)
        and value.get("trial") == trial.number
        for key, value in trial.system_attrs.items()
    )


def save_plots(study: Study, params: Sequence[str] | None = None) -> list[str]:
    """Save the plots of this package into optuna-dashboard, on the page of the study.

    They are pictures of the study as it is now; calling it again replaces them. Of very many
    trials they show an even sample.

    Args:
        study:
            The study.
        params:
            Which parameters to show in the plot of the advice. :obj:`None`: the six most
            important ones, which is what the dashboard has room for.

    Returns:
        The ids of the plots in the dashboard.

    Raises:
        MissingExtraError: optuna-dashboard or plotly is not installed.
    """
    dashboard = need("optuna_dashboard", "save_plots", "dashboard")
    if params is None:
        params = list(importances(study))[:_MAX_PLOT_PARAMS] or None
    figures = {
        "llm-sources": plot_sources(study),
        "llm-advice": plot_advice(study, params),
        "llm-usage": plot_llm_usage(study),
    }
    if len(study.directions) > 1:
        figures["llm-front"] = plot_front(study)
    for name, figure in figures.items():
        figure.update_layout(_DASHBOARD_LAYOUT, overwrite=True)
        for trace in figure.data:
            _thin(trace)
        dashboard.save_plotly_graph_object(study, figure, graph_object_id=name)
    return list(figures)


# Each refresh of the dashboard sends the plots again, and samplers read them with the study.
_MAX_PLOT_POINTS = 100
_MAX_PLOT_PARAMS = 6


def _thin(trace: Any) -> None:
    """Keep an even sample of the points of a trace that has too many, with its first and last."""
    n = len(trace.x)
    if trace.mode != "markers" or n <= _MAX_PLOT_POINTS:
        return
    kept = [round(i * (n - 1) / (_MAX_PLOT_POINTS - 1)) for i in range(_MAX_PLOT_POINTS)]
    trace.x, trace.y, trace.text = ([a[i] for i in kept] for a in (trace.x, trace.y, trace.text))
    for name in ("symbol", "size", "color"):
        if isinstance(trace.marker[name], tuple):
            trace.marker[name] = [trace.marker[name][i] for i in kept]


_AXIS = {"gridcolor": "rgba(128, 128, 128, 0.25)", "zeroline": False, "linecolor": "#808080"}
# The dashboard gives a plot 450 pixels of height and, by day or night, no theme. A few colours
# that suit both take the place of plotly's theme, which would be 7 kB in the study's attributes.
_DASHBOARD_LAYOUT: dict[str, Any] = {
    "template": {
        "layout": {
            "xaxis": _AXIS,
            "yaxis": _AXIS,
            "font": {"color": "#808080"},
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
        }
    },
    "modebar": {"bgcolor": "rgba(0, 0, 0, 0)"},
    "height": None,
    "margin": {"l": 60, "r": 20, "t": 70, "b": 110},
    "legend": {"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0.5, "xanchor": "center"},
}
