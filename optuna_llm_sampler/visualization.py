"""Plots of what the model did, made like those of :mod:`optuna.visualization`.

They need plotly (``pip install "optuna-llm-sampler[plot]"``); the same functions for Matplotlib
are in :mod:`optuna_llm_sampler.visualization.matplotlib`.
"""

from __future__ import annotations

from importlib.util import find_spec

from .report.dashboard import LLMNoteCallback
from .report.dashboard import save_plots
from .report.dashboard import write_note
from .report.plots import matplotlib
from .report.plots.advice import plot_advice
from .report.plots.front import plot_front
from .report.plots.sources import plot_sources
from .report.plots.usage import plot_llm_usage
from .report.transcripts import LLMTranscripts


__all__ = [
    "LLMNoteCallback",
    "LLMTranscripts",
    "is_available",
    "matplotlib",
    "plot_advice",
    "plot_front",
    "plot_llm_usage",
    "plot_sources",
    "save_plots",
    "write_note",
]


def is_available() -> bool:
    """Return whether plotly is installed, which all plots but those of Matplotlib need."""
    return find_spec("plotly") is not None
