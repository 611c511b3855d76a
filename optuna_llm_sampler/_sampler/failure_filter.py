"""Proposals that lie where trials have failed: found by their nearest neighbour, and moved.

Optuna's samplers learn nothing from a failed trial: TPE and the GP read finished ones only
(optuna/samplers/_tpe/sampler.py, ``_get_trials``). A penalty value would teach them, and spoil
their model of the objective. So they propose as ever, and what lies nearer to a failure than to
any success is moved towards a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from .._study import keys as _keys
from .._study.optuna_internals import sampled_trials
from .._study.space import interpolate
from .._study.space import is_legal
from .._study.space import normalize
from .._study.space import SearchSpace


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

    def margin(self, params: Mapping[str, Any]) -> float:
        """Negative unless the nearest success is clearly nearer than the nearest failure."""
        failed, worked = (self._gaps(params, rows) for rows in (self.failed, self.worked))
        nearest = worked.min() if len(worked) else float(len(self.space))
        return float(_RATIO * failed.min() - nearest)

    def goals(self, params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the nearest successes that had the same parameters."""
        alike = [row for row in self.worked if row.keys() == params.keys()]
        nearest = np.argsort(self._gaps(params, alike), kind="stable")[:_N_GOALS]
        return [alike[i] for i in nearest]

    def _gaps(
        self, params: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
    ) -> NDArray[np.float64]:
        if not others:
            return np.empty(0)
        gaps = np.abs(self._points(others) - self._points([params]))
        choices = [isinstance(d, CategoricalDistribution) for d in self.space.values()]
        # Another choice counts a half, and so does a parameter that only one of both has.
        gaps[:, choices] = np.where(gaps[:, choices] > 0, 0.5, gaps[:, choices])
        absent = np.array([[name not in row for name in self.space] for row in (params, *others)])
        gaps = np.where(absent[1:] | absent[0], 0.5 * (absent[1:] != absent[0]), gaps)
        total: NDArray[np.float64] = gaps.sum(axis=1)
        return total

    def _points(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        return np.array(
            [[normalize(r[n], d) if n in r else 0.0 for n, d in self.space.items()] for r in rows]
        )


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
