"""Who did better: trials against trials, whatever the number of objectives.

Knows frozen trials and directions only. A finished trial has a *level* (complete and feasible,
then infeasible or pruned, then failed) and, on the first level, one loss per objective.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import TypeAlias
import warnings

import numpy as np
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from . import _keys


Losses: TypeAlias = tuple[float, ...]

KINDS = ("defaults", "history", "llm", "base", "fallback", "enqueued", "other")
# The base sampler's parameters, too: the model had none for these trials.
_BASE_KINDS = ("base", "fallback")
_N_NEIGHBOURS = 8


def kind_of(trial: FrozenTrial) -> str:
    """Return where a trial's parameters came from, without the reason of a fallback."""
    source = str(_keys.read(trial.user_attrs, _keys.SOURCE, "")).partition(":")[0]
    return source if source in KINDS else "other"


def losses_of(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> Losses | None:
    """Return what is to be minimised, or :obj:`None` without a complete, feasible result."""
    if trial.state != TrialState.COMPLETE or trial.values is None:
        return None
    if len(trial.values) != len(directions) or any(math.isnan(v) for v in trial.values):
        return None
    if any(value > 0 for value in trial.constraints.values()):
        return None
    return tuple(
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(trial.values, directions, strict=True)
    )


def dominates(a: Losses, b: Losses) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def improvements(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return the trials that were the best so far (several objectives: that entered the front)."""
    found = []
    front: list[Losses] = []
    for trial in trials:
        losses = losses_of(trial, directions)
        if losses is None or any(other == losses or dominates(other, losses) for other in front):
            continue
        front = [other for other in front if not dominates(losses, other)] + [losses]
        found.append(trial)
    return found


def best_trials(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return the best trial, or the Pareto front in the order of the trials' numbers."""
    last = improvements(trials, directions)
    if len(directions) == 1:
        return last[-1:]
    scored = [(trial, losses_of(trial, directions) or ()) for trial in last]
    return [
        trial
        for trial, losses in scored
        if not any(dominates(other, losses) for _, other in scored)
    ]


def good_trials(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return the better quarter of the complete trials, best first, at least one if there are any.

    With several objectives, the fewer trials dominate a trial, the better it is.
    """
    scored = [(t, losses) for t in trials if (losses := losses_of(t, directions)) is not None]
    if not scored:
        return []
    table = np.array([losses for _, losses in scored], dtype=float)
    ranks = table[:, 0] if len(directions) == 1 else _n_dominating(table)
    order = np.argsort(ranks, kind="stable")[: math.ceil(len(scored) / 4)]
    return [scored[i][0] for i in order]


def _n_dominating(table: np.ndarray) -> np.ndarray:
    counts = [int(np.sum((table <= row).all(axis=1) & (table < row).any(axis=1))) for row in table]
    return np.array(counts)


@dataclass(frozen=True)
class Duel:
    """The model's trials against the base sampler's that ran around the same time.

    Attributes:
        share:
            Mean share of its neighbours that a trial of the model beats, ties counting half.
        n_model, n_base:
            How many trials of each there are.
    """

    share: float
    n_model: int
    n_base: int


def duel(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Duel | None:
    """Compare each trial of the model with the nearest trials of the base sampler, by number.

    Neighbours in time, because a classical sampler gets better as it goes on: against all of its
    trials, whoever comes first looks bad.
    """
    finished = [t for t in trials if t.state.is_finished()]
    models = [t for t in finished if kind_of(t) == "llm"]
    bases = [t for t in finished if kind_of(t) in _BASE_KINDS]
    if not models or not bases:
        return None
    numbers = [t.number for t in bases]
    shares = []
    for trial in models:
        near = _nearest(numbers, trial.number)
        shares.append(sum(_beats(trial, bases[i], directions) for i in near) / len(near))
    return Duel(sum(shares) / len(shares), len(models), len(bases))


def _nearest(numbers: Sequence[int], number: int) -> list[int]:
    middle = bisect.bisect(numbers, number)
    around = range(max(middle - _N_NEIGHBOURS, 0), min(middle + _N_NEIGHBOURS, len(numbers)))
    return sorted(around, key=lambda i: abs(numbers[i] - number))[:_N_NEIGHBOURS]


def _beats(a: FrozenTrial, b: FrozenTrial, directions: Sequence[StudyDirection]) -> float:
    losses = losses_of(a, directions), losses_of(b, directions)
    if losses[0] is not None and losses[1] is not None:
        return 0.5 + 0.5 * dominates(losses[0], losses[1]) - 0.5 * dominates(losses[1], losses[0])
    levels = _level(a, directions), _level(b, directions)
    return 0.5 + 0.5 * (levels[0] < levels[1]) - 0.5 * (levels[0] > levels[1])


def _level(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> int:
    if losses_of(trial, directions) is not None:
        return 0
    return 2 if trial.state == TrialState.FAIL else 1


def importances(study: Study) -> dict[str, float]:
    """Return Optuna's own importance of each parameter, most important first.

    Empty when there are too few complete trials to say.
    """
    from optuna.importance import get_param_importances  # imports scikit-learn: a second or two

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of experimental evaluators
            found = get_param_importances(study)
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}
