"""Proposals that lie where trials have failed: found by their nearest neighbour, and moved.

Optuna's samplers learn nothing from a failed trial: TPE and the GP read finished ones only
(optuna/samplers/_tpe/sampler.py, ``_get_trials``). A penalty value would teach them, and spoil
their model of the objective. So they propose as ever, and what lies nearer to a failure than to
any success is moved towards a success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState

from .._study import keys as _keys
from .._study.distance import interpolate, Points
from .._study.optuna_internals import sampled_trials
from .._study.space import is_legal, SearchSpace


if TYPE_CHECKING:
    from optuna.study import Study


# See "Proposals near failures" in benchmarks/decisions.md.
_RATIO = 0.75
# Only the latest trials are compared with: a failure's surroundings are known after few.
_LATEST = 300
# On the way to one of the nearest successes.
_STEPS = (0.25, 0.5, 0.75)
_N_GOALS = 10


@dataclass(frozen=True)
class Outcomes:
    """Where the latest trials failed and where they did not, as parameters of one space."""

    space: SearchSpace
    failed: Sequence[Mapping[str, Any]]
    worked: Sequence[Mapping[str, Any]]

    @cached_property
    def _points(self) -> tuple[Points, Points]:
        return Points(self.failed), Points(self.worked)

    def margin(self, params: Mapping[str, Any]) -> float:
        """Negative unless the nearest success is clearly nearer than the nearest failure."""
        failed, worked = (points.distances(params, self.space) for points in self._points)
        nearest = worked.min() if len(worked) else float(len(self.space))
        return float(_RATIO * failed.min() - nearest)

    def goals(self, params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the nearest successes that had the same parameters."""
        distances = self._points[1].distances(params, self.space)
        nearest = (self.worked[i] for i in np.argsort(distances, kind="stable"))
        return list(islice((row for row in nearest if row.keys() == params.keys()), _N_GOALS))


def outcomes_of(study: Study, space: SearchSpace) -> Outcomes | None:
    """Return what trials in this very space came to, if any failed and the model had a part.

    Without a word from the model, trials are those of the base sampler, failures or not.
    """
    if not space:
        return None
    # Read once per trial and thread, by the base sampler already.
    trials = sampled_trials(study)
    if not any(trial.state == TrialState.FAIL for trial in trials):
        return None
    if not any(_keys.read(trial.user_attrs, _keys.SOURCE) == "llm" for trial in trials):
        return None
    failed: list[Mapping[str, Any]] = []
    worked: list[Mapping[str, Any]] = []
    for trial in trials:
        params = {name: value for name, value in trial.params.items() if name in space}
        if params and all(is_legal(value, space[name]) for name, value in params.items()):
            if trial.state == TrialState.FAIL:
                failed.append(params)
            elif trial.state.is_finished():
                worked.append(params)
    return Outcomes(space, failed[-_LATEST:], worked[-_LATEST:]) if failed else None


def away_from_failures(params: dict[str, Any], outcomes: Outcomes) -> dict[str, Any]:
    """Return a proposal, moved towards a success as far as it must be to lie well."""
    if outcomes.margin(params) > 0:
        return params
    goals = outcomes.goals(params)
    best, highest = params, outcomes.margin(params)
    for step in _STEPS:
        for goal in goals:
            moved = {
                name: interpolate(value, goal[name], step, outcomes.space[name])
                for name, value in params.items()
            }
            margin = outcomes.margin(moved)
            if margin > highest and moved not in outcomes.worked:
                best, highest = moved, margin
        if highest > 0:
            break
    return best
