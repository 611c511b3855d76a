"""All that a prompt is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ._branches import Conditions
from ._earlier import Earlier
from ._history import Digest
from ._space import SearchSpace


# Of a parameter with more choices, the model is shown the first ones.
MAX_CHOICES_SHOWN = 60


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
        earlier:
            Studies of a similar space.
        untried:
            Values that no trial has had, of parameters that decide about others.
        seed:
            Passed on to the endpoint.
    """

    space: SearchSpace
    digest: Digest
    task: str = ""
    param_notes: Mapping[str, str] = field(default_factory=dict)
    n_configs: int = 8
    optional: frozenset[str] = frozenset()
    conditions: Conditions = field(default_factory=dict)
    untried: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    earlier: tuple[Earlier, ...] = ()
    seed: int | None = None
