"""Plots of what the model did, made like those of :mod:`optuna.visualization`.

They need plotly (``pip install "optuna-llm-sampler[plot]"``). ``matplotlib.plot_sources`` is
:func:`plot_sources` drawn by Matplotlib, for pictures in files.
"""

from __future__ import annotations

from importlib.util import find_spec

from .report.dashboard import LLMNoteCallback, save_plots, write_note
from .report.plots import matplotlib
from .report.plots.plotly import plot_advice, plot_front, plot_llm_usage, plot_sources


__all__ = [
    "is_available",
    "LLMNoteCallback",
    "matplotlib",
    "plot_advice",
    "plot_front",
    "plot_llm_usage",
    "plot_sources",
    "save_plots",
    "write_note",
]


def is_available() -> bool:
    """Return whether plotly is installed."""
    return find_spec("plotly") is not None
