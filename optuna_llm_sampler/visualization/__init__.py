"""Plots of what the model did, made like those of :mod:`optuna.visualization`.

They need plotly (``pip install "optuna-llm-sampler[plot]"``); the same functions for Matplotlib
are in :mod:`optuna_llm_sampler.visualization.matplotlib`.
"""

from __future__ import annotations

from importlib.util import find_spec

from .._dashboard import LLMNoteCallback
from .._dashboard import save_plots
from .._dashboard import write_note
from .._transcripts import LLMTranscripts
from . import matplotlib
from ._advice import plot_advice
from ._front import plot_front
from ._sources import plot_sources
from ._usage import plot_llm_usage


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
