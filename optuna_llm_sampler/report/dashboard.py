"""The study note and the plots in optuna-dashboard.

There are no notes of trials: for each, the dashboard searches all attributes of the study
(``optuna_dashboard/_note.py``), which takes 5.7 s of CPU per refresh at 3,000 trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
import threading
import time
from typing import Any, TYPE_CHECKING

from optuna.logging import get_logger

from .._store.prices import Price
from .._study import keys as _keys
from .._study.objectives import best_trials, improvements
from .._study.optuna_internals import storage_of
from ..errors import need
from .facts import importances
from .plots.plotly import plot_advice, plot_front, plot_llm_usage, plot_sources
from .report import report
from .text import to_markdown


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")

# The note is stored in the study's attributes, which samplers and the dashboard read again and
# again: it stays within a few of the dashboard's chunks of 2,045 characters.
_MAX_NOTE_CHARS = 12_000
# Of the time of the trials, how much LLMNoteCallback may take.
_MAX_PART = 0.01
# The end of a study is noticed after so many seconds without the end of a trial, at least.
_QUIET, _POLL = 1.0, 0.1
_clock = time.monotonic
# Link definitions are the one thing in Markdown that no renderer shows.
_BEGIN = "[//]: # (optuna-llm-sampler: {0})"
_END = "[//]: # (optuna-llm-sampler: end of {0})"


def write_note(study: Study, *, price: Price | None = None) -> None:
    """Write the report of a study into its note in optuna-dashboard.

    Text before and after the report stays.

    Args:
        study:
            The study.
        price:
            Price of the model, for all calls. :obj:`None`: what the sampler knew when it called.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.
    """
    data = report(study, price=price)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    head = f"## Language model report\n\n*As of {now}.*"
    put_section(study, "report", f"{head} {to_markdown(data)}")


def put_section(study: Study, name: str, body: str) -> None:
    """Write a text into the study note, replacing an older one of the same name."""
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
    # If a person has deleted the end mark, the section reaches to the end of the note.
    after = rest.partition(end)[2]
    return f"{before}{section}{after}"


class LLMNoteCallback:
    """Keep a study's note in optuna-dashboard up to date. Use one callback per study.

    The note is rewritten after a trial of this process that is a new best one or has a new
    advice, and at the end of the study. All writing during the study takes at most 1 % of the
    time of the trials: a note that would take more is written later.

    Optuna does not tell callbacks that a study has ended. So a thread waits until the process
    ends, or until no trial has ended for twice the duration of the last one.

    Args:
        price:
            Price of the model, for all calls. :obj:`None`: what the sampler knew when it called.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.

    Example:

        .. code-block:: python

            study.optimize(objective, n_trials=50, callbacks=[LLMNoteCallback()])
    """

    def __init__(self, *, price: Price | None = None) -> None:
        need("optuna_dashboard", "LLMNoteCallback", "dashboard")
        self._price = price
        self._lock = threading.Lock()
        self._waiter: threading.Thread | None = None
        self._best: list[FrozenTrial] = []
        self._trial_seconds = self._write_seconds = self._last_write = 0.0
        self._has_news = self._is_stale = False
        self._ends_at = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(LLMNoteCallback, price=self._price), ()

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        duration = trial.duration.total_seconds() if trial.duration else 0.0
        with self._lock:
            self._is_stale = True
            self._has_news |= self._is_new_best(study, trial) or has_advice(trial)
            self._trial_seconds += duration
            allowed = _MAX_PART * self._trial_seconds - self._write_seconds
            if self._has_news and self._last_write <= allowed:
                self._write(study)
            self._ends_at = _clock() + max(_QUIET, 2 * duration, self._last_write / _MAX_PART)
            if self._is_stale and (self._waiter is None or not self._waiter.is_alive()):
                self._waiter = threading.Thread(target=self._write_at_the_end, args=(study,))
                self._waiter.start()

    def _is_new_best(self, study: Study, trial: FrozenTrial) -> bool:
        known, directions = [*self._best, trial], study.directions
        self._best = best_trials(known, directions)
        return improvements(known, directions)[-1:] == [trial]

    def _write_at_the_end(self, study: Study) -> None:
        # Not a daemon, so that the interpreter waits for it. Not atexit, which the processes of
        # multiprocessing leave out.
        while threading.main_thread().is_alive() and _clock() < self._ends_at:
            time.sleep(_POLL)
        with self._lock:
            self._waiter = None
            if self._is_stale:
                self._write(study)
        storage_of(study).remove_session()

    def _write(self, study: Study) -> None:
        begin = _clock()
        try:
            write_note(study, price=self._price)
        except Exception as error:  # the study must go on without the note
            _logger.warning(f"The study note could not be written: {error!r}")
        self._last_write = _clock() - begin
        self._write_seconds += self._last_write
        self._has_news = self._is_stale = False


def has_advice(trial: FrozenTrial) -> bool:
    """Return whether a trial stores the outcome of a call for advice."""
    # A retried trial has a copy of its predecessor's record, which names the predecessor.
    return any(
        key.startswith(_keys.RECORD)
        and isinstance(value, Mapping)
        and value.get("trial") == trial.number
        for key, value in trial.system_attrs.items()
    )


def save_plots(study: Study, params: Sequence[str] | None = None) -> list[str]:
    """Save the plots of this package on the study's page in optuna-dashboard.

    They show the study as it is now; a later call replaces them. Of very many trials they show an
    even sample.

    Args:
        study:
            The study.
        params:
            Parameters in the plot of the advice. :obj:`None`: the six most important ones, for
            which the dashboard has room.

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


# The dashboard sends the plots at each refresh, and samplers read them with the study.
_MAX_PLOT_POINTS = 100
_MAX_PLOT_PARAMS = 6


def _thin(trace: Any) -> None:
    """Keep an even sample of the points of a large trace, with the first and the last one."""
    n = len(trace.x)
    if trace.mode != "markers" or n <= _MAX_PLOT_POINTS:
        return
    kept = [round(i * (n - 1) / (_MAX_PLOT_POINTS - 1)) for i in range(_MAX_PLOT_POINTS)]
    trace.x, trace.y, trace.text = ([a[i] for i in kept] for a in (trace.x, trace.y, trace.text))
    for name in ("symbol", "size", "color"):
        if isinstance(trace.marker[name], tuple):
            trace.marker[name] = [trace.marker[name][i] for i in kept]


_AXIS = {"gridcolor": "rgba(128, 128, 128, 0.25)", "zeroline": False, "linecolor": "#808080"}
# The dashboard shows plots 450 pixels high and without a theme. These colours suit its light and
# its dark mode; plotly's theme would take 7 kB of the study's attributes.
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
