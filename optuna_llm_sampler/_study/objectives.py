"""Losses, constraint violations, Pareto fronts and hypervolumes of finished trials.

Optuna's own hypervolume is private (optuna/_hypervolume) and made for many points. A front of a
dozen points needs no more than the plain recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math
from typing import TypeAlias

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .optuna_internals import constraints_of


# Values of all objectives, with the sign changed where more is better: lower is better.
Losses: TypeAlias = tuple[float, ...]


def to_losses(values: Iterable[float], directions: Sequence[StudyDirection]) -> Losses:
    """Negate the values of the objectives that are maximized."""
    return tuple(
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(values, directions, strict=False)
    )


def losses_of(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> Losses | None:
    """Return a trial's losses, or :obj:`None` without a complete, feasible result."""
    if trial.state != TrialState.COMPLETE or trial.values is None or violation(trial) > 0:
        return None
    if len(trial.values) != len(directions) or any(map(math.isnan, trial.values)):
        return None
    return to_losses(trial.values, directions)


def violations(trial: FrozenTrial) -> dict[str, float]:
    """Return the violated constraints and their amounts, skipping values that are no numbers."""
    return {
        name: float(amount)
        for name, amount in constraints_of(trial).items()
        if isinstance(amount, (int, float)) and amount > 0
    }


def violation(trial: FrozenTrial) -> float:
    """Return the sum of a trial's constraint violations, 0 when it is feasible."""
    return math.fsum(violations(trial).values())


def dominates(a: Losses, b: Losses) -> bool:
    """Tell whether ``a`` is nowhere worse than ``b`` and somewhere better."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=False))


def enter_front(front: dict[int, Losses], number: int, losses: Losses) -> bool:
    """Add a trial to a Pareto front and drop those it dominates; return whether it is there."""
    if any(dominates(other, losses) for other in front.values()):
        return False
    for dominated in [n for n, other in front.items() if dominates(losses, other)]:
        del front[dominated]
    front[number] = losses
    return True


def improvements(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return the trials that were better than all before (several objectives: entered the front).

    A trial that equals an earlier one is no improvement.
    """
    return _enter_all(trials, directions)[0]


def best_trials(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return the best trial, or the Pareto front in the order of the trials."""
    entered, front = _enter_all(trials, directions)
    return [trial for trial in entered if trial.number in front]


def _enter_all(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> tuple[list[FrozenTrial], dict[int, Losses]]:
    front: dict[int, Losses] = {}
    entered = []
    for trial in trials:
        losses = losses_of(trial, directions)
        if losses is None or losses in front.values():
            continue
        if enter_front(front, trial.number, losses):
            entered.append(trial)
    return entered, front


def good_trials(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """Return the better quarter of the complete trials, best first, at least one if there are any.

    With several objectives, the fewer trials dominate a trial, the better it is.
    """
    scored = [(t, losses) for t in trials if (losses := losses_of(t, directions)) is not None]
    if not scored:
        return []
    table = np.array([losses for _, losses in scored])
    ranks = table[:, 0]
    if len(directions) > 1:
        better = [(table <= row).all(axis=1) & (table < row).any(axis=1) for row in table]
        ranks = np.sum(better, axis=1)
    order = np.argsort(ranks, kind="stable")[: math.ceil(len(scored) / 4)]
    return [scored[i][0] for i in order]


def thinned(points: Sequence[Losses], n: int) -> list[int]:
    """Choose points of a front: the best in each objective, then evenly along the first one.

    Returns:
        Indices of the points, in the order of the first objective.
    """
    order = sorted(range(len(points)), key=lambda i: points[i])
    if len(points) <= n:
        return order
    ends = {min(order, key=lambda i, k=k: points[i][k]) for k in range(len(points[0]))}  # type: ignore[misc]
    left = n - len(ends)
    for j in range(max(left, 0)):
        ends.add(order[round((j + 0.5) * (len(order) - 1) / left)])
    return sorted(ends, key=lambda i: points[i])


def hypervolume_shares(
    points: Sequence[Losses], indices: Sequence[int] | None = None
) -> list[float]:
    """Return the share of the hypervolume that is lost without each point, in [0, 1].

    Objectives are scaled first, so that seconds and accuracies count alike.

    Args:
        points:
            A Pareto front.
        indices:
            Points whose shares to return; by default all.
    """
    if not points:
        return []
    units = _scaled(points)
    reference = (1.1,) * len(units[0])
    whole = hypervolume(units, reference)
    chosen = range(len(units)) if indices is None else indices
    rest = (hypervolume([*units[:i], *units[i + 1 :]], reference) for i in chosen)
    return [(whole - without) / whole for without in rest]


def _scaled(points: Sequence[Losses]) -> list[Losses]:
    """Map each objective's finite range onto [0, 1]."""
    columns = list(zip(*points, strict=True))
    finite = [[x for x in column if math.isfinite(x)] or [0.0] for column in columns]
    lows, highs = [min(c) for c in finite], [max(c) for c in finite]
    return [
        tuple(
            min(max((x - low) / (high - low), 0.0), 1.0) if high > low else 0.0
            for x, low, high in zip(point, lows, highs, strict=True)
        )
        for point in points
    ]


def hypervolume(points: Sequence[Losses], reference: Losses) -> float:
    """Return the volume that the points dominate, up to the reference point.

    Each point adds the volume of its own box, less the part that later points dominate too.
    """
    total = 0.0
    for i, point in enumerate(points):
        own = math.prod(r - x for x, r in zip(point, reference, strict=True))
        limited = {
            tuple(max(x, y) for x, y in zip(point, other, strict=True))
            for other in points[i + 1 :]
        }
        kept = sorted(a for a in limited if not any(dominates(b, a) for b in limited))
        total += own - hypervolume(kept, reference)
    return total
