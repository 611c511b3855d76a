"""Who did better: trials against trials, whatever the number of objectives.

Knows frozen trials and directions only. A finished trial has a *level* (complete and feasible,
then infeasible or pruned, then failed) and, on the first level, one loss per objective.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import TypeAlias
import warnings

import numpy as np
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from . import keys as _keys


Losses: TypeAlias = tuple[float, ...]

KINDS = ("defaults", "history", "llm", "base", "fallback", "enqueued", "other")


def kind_of(trial: FrozenTrial) -> str:
    """Return the kind of a trial's source; ``"other"`` if none is recorded that is known."""
    source = _keys.source_kind(trial.user_attrs)
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
