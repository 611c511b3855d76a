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
    """What a model is asked.

    Attributes:
        space:
            The parameters to propose values for.
        summary:
            The history.
        task:
            What is tuned, in the user's words.
        param_notes:
            The user's words on single parameters.
        n_configs:
            How many configurations are wanted.
        optional:
            Parameters that some trials lack for no known reason.
        conditions:
            By conditional parameter, with which values of which parameters it is used.
        prior_studies:
            Studies of a similar space.
        untried:
            By parameter, choices and integers that no trial has had.
        share:
            Share of the coming trials that the model gets, in [0, 1].
        seed:
            Passed on to the endpoint.
    """

    space: SearchSpace
    summary: StudySummary
    task: str = ""
    param_notes: Mapping[str, str] = field(default_factory=dict)
    n_configs: int = 8
    optional: frozenset[str] = frozenset()
    conditions: Conditions = field(default_factory=dict)
    untried: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    prior_studies: tuple[PriorStudy, ...] = ()
    share: float = 1.0
    seed: int | None = None
