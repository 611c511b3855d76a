"""Name, colour and mark of each source of parameters, for tables and plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """How a kind of source is shown."""

    name: str  # its name
    color: str  # one of plotly's own theme, so that the plots match Optuna's
    # Its mark in plotly.
    symbol: str = "circle"
    size: int = 7
    marker: str = "o"  # its mark in Matplotlib


# In the order of _study.keys.KINDS.
SOURCES: Mapping[str, Source] = {
    "defaults": Source("Defaults", "#00CC96", "diamond", 10, "D"),
    "history": Source("Prior study", "#FECB52", "diamond-wide", 10, "d"),
    "llm": Source("Language model", "#EF553B", "star", 12, "*"),
    "base": Source("Base sampler", "#636EFA"),
    "fallback": Source("Base sampler (fallback)", "#FFA15A"),
    "enqueued": Source("Enqueued", "#AB63FA", "square", 9, "s"),
    "other": Source("Not recorded", "#A0A0A0"),
}
