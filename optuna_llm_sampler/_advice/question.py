"""All that a prompt is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.distributions import CategoricalDistribution

from .._study.conditions import Conditions
from .._study.space import labels
from .._study.space import SearchSpace
from .._study.summary import StudySummary
from .._study.warm_start import PriorStudy


# Of a parameter with more choices, the model is shown the first ones; of many such parameters,
# fewer, so that all choices together are no longer than this.
_MAX_CHOICES_SHOWN = 60
_MAX_CHOICE_CHARS = 3_000


def n_choices_shown(space: SearchSpace, *, once: bool = False) -> int:
    """Return how many choices of each parameter are written out.

    Args:
        space:
            The parameters.
        once:
            Whether choices that parameters share are written once.
    """
    every = [labels(d) for d in space.values() if isinstance(d, CategoricalDistribution)]
    every = list(set(every)) if once else every
    n = _MAX_CHOICES_SHOWN
    while n > 2 and sum(len(c) + 4 for names in every for c in names[:n]) > _MAX_CHOICE_CHARS:
        n = n * 2 // 3
    return n


@dataclass(frozen=True)
class Question:
    """All that a prompt is made of.

    Attributes:
        space:
            The parameters to propose values for.
        digest:
            The history.
        task:
            What is tuned, in the user's words.
        param_notes:
            The user's words on single parameters.
        n_configs:
            How many configurations are wanted.
        optional:
            Parameters that some trials do not have, for no known reason.
        conditions:
            With which values of which parameters others are used.
        prior_studies:
            Studies of a similar space.
        untried:
            Values that no trial has had, of parameters that decide about others.
        share:
            Share of the coming trials that will be the model's, in [0, 1].
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
