"""What prior studies have shown, as plain data: told to the model, and tried first.

A sampler cannot add another study's trials to its own, so the base sampler cannot learn from them.
Instead, the prior studies' best configurations are tried, and it learns what they are worth here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from .distance import Points
from .numbers import Spread, spreads_of
from .objectives import good_trials
from .space import coerce, Coerced, SearchSpace, to_label
from .summary import rounded_params


# Tried before the model's first five trials are over, with room for its own proposals.
N_TRIED = 3
N_TOLD = 4
# A prior study needs this share of the parameters of this one.
_MIN_OVERLAP = 0.5
# Configurations of one study nearer than this in every parameter are one idea.
_NEAR = 0.1


@dataclass(frozen=True)
class PriorStudy:
    """What is kept of a prior study."""

    name: str  # name of the study
    goals: tuple[str, ...]  # one per objective: `"maximize accuracy"`
    n_complete: int  # number of its complete trials
    # Parameters and values of its best trials that differ from each other, best first.
    best: tuple[tuple[Mapping[str, Any], tuple[float, ...]], ...]

    def spreads(self) -> tuple[Spread, ...]:
        """Return the spread of these values, per objective."""
        directions = [goal.partition(" ")[0] for goal in self.goals]
        return spreads_of((values for _, values in self.best), directions)


def remember(study: Study) -> PriorStudy:
    """Extract from a study what may help in another one."""
    directions = study.directions
    names = study.metric_names or [""] * len(directions)
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    kept: list[tuple[Mapping[str, Any], tuple[float, ...]]] = []
    tried: dict[str, Points] = {}
    for trial in good_trials(trials, directions):
        space = {n: d for n, d in sorted(trial.distributions.items()) if not d.single()}
        points = tried.setdefault(repr(space), Points())
        if space and not points.has_near(trial.params, space, _NEAR):
            points.add(trial.params)
            kept.append((dict(trial.params), tuple(trial.values)))
    return PriorStudy(
        name=study.study_name,
        goals=tuple(
            f"{direction.name.lower()} {name}".strip()
            for direction, name in zip(directions, names, strict=True)
        ),
        n_complete=len(trials),
        best=tuple(kept[: max(N_TRIED, N_TOLD)]),
    )


def adopted(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Return the part of a configuration that another space has, in that space's values.

    Numbers beyond its bounds and choices that it lacks are left out: what they would become was
    never tried.
    """
    found = {}
    for name, value in params.items():
        coerced = coerce(value, space[name]) if name in space else None
        if isinstance(coerced, Coerced) and coerced.repair in ("", "rounded", "snapped"):
            found[name] = coerced.value
    return found


def _fits(params: Mapping[str, Any], space: SearchSpace | None) -> bool:
    """Tell whether a space has enough of a configuration; an unknown space takes all."""
    if not space:
        return True
    return len(adopted(params, space)) >= _MIN_OVERLAP * min(len(space), len(params))


def told(
    studies: Sequence[PriorStudy], space: SearchSpace
) -> list[tuple[PriorStudy, list[tuple[tuple[float, ...], dict[str, Any]]]]]:
    """Return the studies that share parameters, with values and configurations, worst first.

    Numbers are rounded and choices are labels, as in the history.
    """
    found = []
    for study in studies:
        rows = []
        for params, values in study.best[:N_TOLD]:
            kept = rounded_params(adopted(params, space), space)
            if kept:
                rows.append((values, {n: to_label(v, space[n]) for n, v in kept.items()}))
        if rows:
            found.append((study, rows[::-1]))
    return found


def to_try(studies: Sequence[PriorStudy], space: SearchSpace | None) -> tuple[dict[str, Any], ...]:
    """Choose the configurations to try: the best of each study, then the second best."""
    rounds = zip_longest(*(study.best for study in studies))
    found: Iterator[Mapping[str, Any]] = (
        entry[0] for round_ in rounds for entry in round_ if entry and _fits(entry[0], space)
    )
    chosen: list[dict[str, Any]] = []
    for params in found:
        taken = dict(params) if space is None else adopted(params, space)
        if taken not in chosen:
            chosen.append(taken)
    return tuple(chosen[:N_TRIED])
