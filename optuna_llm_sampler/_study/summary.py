"""What the model is told about a study, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from .numbers import rounded
from .numbers import Spread
from .numbers import spread_of
from .numbers import spreads_of
from .space import is_legal
from .space import SearchSpace
from .space import to_label


@dataclass(frozen=True)
class TrialSummary:
    """One trial as the model sees it.

    Attributes:
        number:
            Its number.
        params:
            In Optuna's own values.
        values:
            One per objective.
        pruned:
            Whether it was stopped early.
        violated:
            By how much it breaks which constraints.
        curve:
            How its intermediate values went, in a few words.
        error:
            Why it failed, as far as the user's program said.
        share:
            How much of the Pareto front's hypervolume is lost without it; :obj:`None` for a trial
            that is not on the front.
        attrs:
            User attributes that the user wants to be shown.
        source:
            Where its parameters came from: ``"llm"``, ``"base"``, ``"user"`` or ``""``.
        why:
            The model's reason for it.
    """

    number: int
    params: Mapping[str, Any]
    values: tuple[float, ...] = ()
    pruned: bool = False
    violated: Mapping[str, float] = field(default_factory=dict)
    curve: str = ""
    error: str = ""
    share: float | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    why: str = ""


@dataclass(frozen=True)
class StudySummary:
    """What the model is told about a study.

    Attributes:
        directions:
            ``"minimize"`` or ``"maximize"`` per objective.
        metric_names:
            Name per objective, ``""`` when the user gave none.
        finished:
            Trials with values, from worst to best; with several objectives, the Pareto front comes
            last, ordered by the first objective.
        running:
            Trials that are being run now.
        failed:
            Trials without a result.
        n_finished, n_failed:
            How many there are in all.
        constraints:
            Names of the constraints.
        n_feasible:
            How many trials with values meet them.
        failing:
            Where trials failed and none succeeded, in words.
        since_best:
            How many trials have finished that began after the best one; :obj:`None` with several
            objectives.
        kinds:
            By parameter that is of another kind than it was, what it was, in words.
    """

    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    finished: tuple[TrialSummary, ...] = ()
    running: tuple[TrialSummary, ...] = ()
    failed: tuple[TrialSummary, ...] = ()
    n_finished: int = 0
    n_failed: int = 0
    constraints: tuple[str, ...] = ()
    n_feasible: int = 0
    failing: tuple[str, ...] = ()
    since_best: int | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)


def spreads(summary: StudySummary) -> tuple[Spread, ...]:
    """Return how the results that are shown differ, per objective."""
    return spreads_of((shown.values for shown in summary.finished), summary.directions)


def excesses(summary: StudySummary) -> dict[str, Spread]:
    """Return how the amounts differ by which the trials that are shown break each constraint."""
    broken: dict[str, list[float]] = {}
    for shown in summary.finished:
        for name, amount in shown.violated.items():
            broken.setdefault(name, []).append(amount)
    return {name: spread_of(amounts, minimize=True) for name, amounts in broken.items()}


def plain(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Round numbers to what a model needs to see."""
    return {name: _plain(value, space.get(name)) for name, value in params.items()}


def _plain(value: Any, distribution: BaseDistribution | None) -> Any:
    if isinstance(distribution, (FloatDistribution, IntDistribution)) and _is_number(value):
        return rounded(value, distribution)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def row(shown: TrialSummary, space: SearchSpace) -> tuple[dict[str, Any], bool]:
    """Write a trial's parameters in terms of the space as it is now.

    Returns:
        Labels and numbers by name, and whether all of it is legal now. Numbers beyond bounds that
        have moved are facts, and stay; a choice that is gone, or the value of a parameter that is
        of another kind now, means nothing, and is left out.
    """
    found: dict[str, Any] = {}
    legal = True
    for name, value in shown.params.items():
        if name not in space:
            continue
        distribution = space[name]
        if isinstance(distribution, CategoricalDistribution):
            try:
                distribution.to_internal_repr(value)
                found[name] = to_label(value, distribution)
            except ValueError:
                legal = False
        elif _is_number(value):
            found[name] = _plain(value, distribution)
            legal = legal and is_legal(value, distribution)
        else:
            legal = False
    return found, legal
