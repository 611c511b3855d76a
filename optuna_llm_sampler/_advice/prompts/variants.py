"""Several configurations in one answer: one per branch of the space or per aim.

Samples of a small model are much alike, so what must differ is fixed in the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from ..._study.conditions import Branch, branches
from ..question import Question
from .text import comment


# Small models write no longer answer reliably.
_MAX_VARIANTS = 8
_MAX_BRANCHES = 64
_NO_CODE = str.maketrans("", "", "(){}[]=:\"'\\")


@dataclass(frozen=True)
class Variant:
    """One configuration of an answer.

    Attributes:
        names:
            Its parameters, in order.
        where:
            Allowed values of some of them, as labels or integers.
        aim:
            What it should be best at, in words.
    """

    names: tuple[str, ...]
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    aim: str = ""

    @property
    def aim_line(self) -> str:
        """The comment above the configuration, without characters that are read as code."""
        aim = comment(self.aim).translate(_NO_CODE)
        return f"    # {aim}\n" if aim else ""


def variants(question: Question) -> tuple[Variant, ...]:
    """Return the configurations of one answer; none without branches and aims."""
    goals = aims(question)
    found = branches(question.space, question.conditions, _MAX_BRANCHES)
    if not goals and len(found) < 2:
        return ()
    found.sort(key=lambda branch: not _is_untried(branch, question.untried))
    n = min(question.n_configs, _MAX_VARIANTS, max(len(goals), len(found)))
    pairs = islice(zip(cycle(found), cycle(goals or [""])), n)
    return tuple(Variant(branch.names, branch.where, goal) for branch, goal in pairs)


def aims(question: Question) -> tuple[str, ...]:
    """Name the ends of the Pareto front and its middle; none with one objective."""
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
