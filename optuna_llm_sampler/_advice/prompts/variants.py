"""Several configurations in one answer: one per branch of the space, one per aim.

Samples of a small model are much alike, so what must differ is fixed before it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ..._study.conditions import Branch
from ..._study.conditions import branches
from ..question import Question


# An answer with more would be long, and a small model loses its way.
_MAX_VARIANTS = 8
_MAX_BRANCHES = 64


@dataclass(frozen=True)
class Variant:
    """What one configuration must be.

    Attributes:
        names:
            The parameters it has, in order.
        where:
            Values to which some of them are restricted, as labels or integers.
        aim:
            What it is to be best at, in words.
    """

    names: tuple[str, ...]
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    aim: str = ""


def variants(question: Question) -> tuple[Variant, ...]:
    """Return what the configurations of one answer must be; none for an ordinary question."""
    goals = aims(question)
    found = branches(question.space, question.conditions, _MAX_BRANCHES)
    if not goals and len(found) < 2:
        return ()
    found.sort(key=lambda branch: not _is_untried(branch, question.untried))
    n = min(question.n_configs, _MAX_VARIANTS, max(len(goals), len(found)))
    return tuple(
        Variant(branch.names, branch.where, goals[i % len(goals)] if goals else "")
        for i in range(n)
        for branch in [found[i % len(found)]]
    )


def aims(question: Question) -> tuple[str, ...]:
    """Name the ends of the Pareto front and its middle; nothing with one objective."""
    summary = question.summary
    if len(summary.directions) < 2:
        return ()
    ends = (
        f"{'lowest' if direction == 'minimize' else 'highest'} {name or f'objective {i}'}"
        for i, (direction, name) in enumerate(
            zip(summary.directions, summary.metric_names, strict=True)
        )
    )
    return *ends, "a good compromise"


def _is_untried(branch: Branch, untried: Mapping[str, Sequence[Any]]) -> bool:
    return any(
        all(value in untried.get(name, ()) for value in values)
        for name, values in branch.where.items()
    )
