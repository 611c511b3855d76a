"""What earlier studies have shown, as plain data: told to the model, and tried first.

A sampler cannot add finished trials to a study, so a base sampler cannot be given another study's
trials. It is given the next best: the earlier study's best configurations are tried, and it sees
what they are worth here.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from .numbers import Spread
from .numbers import spreads_of
from .objectives import good_trials
from .space import coerce
from .space import Coerced
from .space import normalize
from .space import SearchSpace
from .space import to_label
from .summary import rounded_params


# Configurations that are tried before the model's: as many as leave it a say in the first five.
N_TRIED = 3
N_TOLD = 4
# Of the parameters of this study, the share that an earlier study must have had.
_MIN_OVERLAP = 0.5
# Configurations of one study nearer than this in every parameter are one idea.
_NEAR = 0.1


@dataclass(frozen=True)
class PriorStudy:
    """What is kept of a study.

    Attributes:
        name:
            Its name.
        goals:
            ``"maximize accuracy"`` per objective.
        n_complete:
            How many complete, feasible trials it has, or had when it was handed over.
        best:
            Parameters and values of its best trials that differ from each other, best first.
    """

    name: str
    goals: tuple[str, ...]
    n_complete: int
    best: tuple[tuple[Mapping[str, Any], tuple[float, ...]], ...]

    def spreads(self) -> tuple[Spread, ...]:
        """Return how the results of these trials differ, per objective."""
        directions = [goal.partition(" ")[0] for goal in self.goals]
        return spreads_of((values for _, values in self.best), directions)


def remember(study: Study) -> PriorStudy:
    """Take from a study what is worth knowing in another one."""
    directions = study.directions
    names = study.metric_names or [""] * len(directions)
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    kept: list[tuple[Mapping[str, Any], tuple[float, ...]]] = []
    points: list[tuple[SearchSpace, list[float]]] = []
    for trial in good_trials(trials, directions):
        space = {n: d for n, d in trial.distributions.items() if not d.single()}
        here = [
            normalize(trial.params[name], distribution) for name, distribution in space.items()
        ]
        if space and not any(other == space and _near(here, p) for other, p in points):
            points.append((space, here))
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


def _near(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(x - y) < _NEAR for x, y in zip(a, b, strict=True))


def adopted(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Return what of a configuration is possible in another space, in that space's values.

    By name and by value: a number beyond the bounds, or a choice that is not there, is left out,
    because what it would become was never tried.
    """
    found = {}
    for name, value in params.items():
        coerced = coerce(value, space[name]) if name in space else None
        if isinstance(coerced, Coerced) and coerced.repair in ("", "rounded", "snapped"):
            found[name] = coerced.value
    return found


def fits(params: Mapping[str, Any], space: SearchSpace | None) -> bool:
    """Tell whether enough of a configuration is possible here; unknown spaces take everything."""
    if not space:
        return True
    return len(adopted(params, space)) >= _MIN_OVERLAP * min(len(space), len(params))


def told(
    earlier: Sequence[PriorStudy], space: SearchSpace
) -> list[tuple[PriorStudy, list[tuple[tuple[float, ...], dict[str, Any]]]]]:
    """Return the studies that have something to say, with scores and configurations in words.

    Numbers are rounded and choices are labels, worst first, as in the history.
    """
    found = []
    for study in earlier:
        rows = []
        for params, values in study.best[:N_TOLD]:
            kept = rounded_params(adopted(params, space), space)
            if kept:
                rows.append((values, {n: to_label(v, space[n]) for n, v in kept.items()}))
        if rows:
            found.append((study, rows[::-1]))
    return found


def to_try(earlier: Sequence[PriorStudy], space: SearchSpace | None) -> tuple[dict[str, Any], ...]:
    """Choose the configurations that are tried: the best of each study, then the second best."""
    rounds = zip_longest(*(study.best for study in earlier))
    found: Iterator[Mapping[str, Any]] = (
        entry[0] for round_ in rounds for entry in round_ if entry and fits(entry[0], space)
    )
    chosen: list[dict[str, Any]] = []
    for params in found:
        taken = dict(params) if space is None else adopted(params, space)
        if taken not in chosen:
            chosen.append(taken)
    return tuple(chosen[:N_TRIED])
