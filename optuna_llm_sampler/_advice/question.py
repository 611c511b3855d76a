"""What a model is asked, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._study.conditions import Conditions
from .._study.space import SearchSpace
from .._study.summary import StudySummary
from .._study.warm_start import PriorStudy


@dataclass(frozen=True)
class Question:
    """What a model is asked."""

    space: SearchSpace  # the parameters to propose values for
    summary: StudySummary  # the history
    task: str = ""  # what is tuned, in the user's words
    # The user's words on single parameters.
    param_notes: Mapping[str, str] = field(default_factory=dict)
    n_configs: int = 8  # how many configurations are wanted
    optional: frozenset[str] = frozenset()  # parameters that some trials lack for no known reason
    # By conditional parameter, with which values of which parameters it is used.
    conditions: Conditions = field(default_factory=dict)
    # By parameter, choices and integers that no trial has had.
    untried: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    prior_studies: tuple[PriorStudy, ...] = ()  # studies of a similar space
    share: float = 1.0  # share of the coming trials that the model gets, in [0, 1]
    seed: int | None = None  # passed on to the endpoint
