"""Candidates that lie where trials have failed: found by their nearest neighbour, drawn anew.

Optuna's samplers learn nothing from a failed trial: TPE and the GP read finished ones only
(optuna/samplers/_tpe/sampler.py, ``_get_trials``). A penalty value would teach them, and spoil
their model of the objective. So they propose as ever, and what lies nearer to a failure than to
any success is proposed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from .._study import keys as _keys
from .._study.distance import Points
from .._study.space import interpolate
from .._study.space import normalize
from .._study.space import SearchSpace


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


# With half of the space failing (12 tables, the 0.5B model, 4 seeds), failures in 50 trials with a
# ratio of 1: 13.8; .75: 10.6; TPE alone: 21.2.
MAX_DRAWS = 20
_RATIO = 0.75
# Only the latest trials are compared with: a failure's surroundings are known after few.
_LATEST = 300
# On the way from a candidate that is proposed again and again to the best trial.
_STEPS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Outcomes:
    """Where trials failed and where they did not, as parameters that lie in one space.

    Attributes:
        best:
            The best of those that worked; with several objectives, the latest.
    """

    space: SearchSpace
    failed: Sequence[Mapping[str, Any]]
    worked: Sequence[Mapping[str, Any]]
    best: Mapping[str, Any] | None = None

    def margin(self, params: Mapping[str, Any]) -> float:
        """Negative unless the nearest success is clearly nearer than the nearest failure."""
        failed, worked = (self._gaps(params, rows) for rows in (self.failed, self.worked))
        nearest = worked.min() if len(worked) else float(len(self.space))
        return float(_RATIO * failed.min() - nearest)

    def _gaps(
        self, params: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
    ) -> NDArray[np.float64]:
        if not others:
            return np.empty(0)
        gaps = np.abs(self._points(others[-_LATEST:]) - self._points([params]))
        choices = [isinstance(d, CategoricalDistribution) for d in self.space.values()]
        # Another choice counts a half, as in _order.py.
        gaps[:, choices] = 0.5 * (gaps[:, choices] > 0)
        total: NDArray[np.float64] = gaps.sum(axis=1)
        return total

    def _points(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        return np.array([[normalize(row[n], d) for n, d in self.space.items()] for row in rows])


def outcomes_of(study: Study, space: SearchSpace) -> Outcomes | None:
    """Return what trials in this very space came to, if any failed and the model had a part.

    Without a word from the model, trials are those of the base sampler, failures or not.
    """
    if not space:
        return None
    # Read once per trial and thread, by the base sampler already.
    trials = study._get_trials(deepcopy=False, use_cache=True)
    if not any(trial.state == TrialState.FAIL for trial in trials):
        return None
    if not any(_keys.read(trial.user_attrs, _keys.SOURCE) == "llm" for trial in trials):
        return None
    failed: list[Mapping[str, Any]] = []
    worked: list[Mapping[str, Any]] = []
    best: FrozenTrial | None = None
    for trial in trials:
        if any(trial.distributions.get(name) != d for name, d in space.items()):
            continue
        if trial.state == TrialState.FAIL:
            failed.append(trial.params)
        elif trial.state.is_finished():
            worked.append(trial.params)
            if best is None or _is_better(trial, best, study.directions):
                best = trial
    return Outcomes(space, failed, worked, best.params if best else None) if failed else None


def _is_better(a: FrozenTrial, b: FrozenTrial, directions: Sequence[StudyDirection]) -> bool:
    if len(directions) > 1 or b.value is None:
        return True
    if a.value is None:
        return False
    return a.value < b.value if directions[0] == StudyDirection.MINIMIZE else a.value > b.value


def first_that_works(draws: Iterable[dict[str, Any]], outcomes: Outcomes) -> dict[str, Any]:
    """Take the first candidate that lies well; if there is none, move the best one.

    A GP finds the same maximum again and again, and TPE is drawn to where it has seen nothing.
    """
    tried: list[tuple[float, dict[str, Any]]] = []
    for candidate in draws:
        margin = outcomes.margin(candidate)
        if margin > 0:
            return candidate
        if tried and Points([tried[-1][1]]).has_duplicate(candidate, outcomes.space):
            break
        tried.append((margin, candidate))
    return _moved(max(tried, key=lambda pair: pair[0])[1], outcomes)


def _moved(params: dict[str, Any], outcomes: Outcomes) -> dict[str, Any]:
    """Go towards the best trial until it lies well."""
    goal, moved = outcomes.best, params
    if goal is None:
        return params
    for step in _STEPS:
        moved = {
            name: interpolate(params[name], goal[name], step, distribution)
            for name, distribution in outcomes.space.items()
        }
        if outcomes.margin(moved) > 0:
            break
    return moved
