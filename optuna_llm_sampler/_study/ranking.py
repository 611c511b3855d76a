"""Rank finished trials: to choose those that the model is shown, and to compare the samplers."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Sequence
import copy
from dataclasses import dataclass, replace
import math
from typing import TypeAlias

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from . import keys as _keys
from .objectives import (
    dominates,
    enter_front,
    hypervolume_shares,
    Losses,
    thinned,
    to_losses,
    violation,
)
from .summary import summarize, TrialSummary


# How many trials are shown at most, if they fit: the best, and an even sample of the others.
N_BEST = 40
N_SPREAD = 40
N_FRONT = 20
# With several objectives: from how many of the Pareto front and of the latest trials to choose.
_POOL = 100
# Only so many trials, the latest by number, are compared as evidence.
_N_COMPARED = 300
# The hypervolume of a front is computed from no more points than these.
_MAX_FRONT = 10

# Sorts trials from best to worst. It begins with the level: 0 complete and feasible, 1 pruned,
# 2 infeasible, 3 failed.
RankKey: TypeAlias = tuple[float, ...]
_FAILED: RankKey = (3.0,)


def has_result(trial: FrozenTrial) -> bool:
    """Tell whether a finished trial has values, none of which is NaN."""
    return (
        trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.values is not None
        and not any(map(math.isnan, trial.values))
    )


def rank_of(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> RankKey:
    """Rank a finished trial: lower is better."""
    if not has_result(trial):
        return _FAILED
    if (amount := violation(trial)) > 0:
        return (2.0, amount)
    losses = to_losses(trial.values, directions)
    if trial.state == TrialState.PRUNED:  # the later, the better, as in TPE
        return (1.0, -float(trial.last_step or 0), *losses)
    return (0.0, *losses)


class Ranking:
    """Trials with one objective: the best, and a sample across the others."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = directions
        self._keys: list[tuple[RankKey, Losses, int]] = []
        self._trials: dict[int, FrozenTrial] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial that has a result."""
        losses = to_losses(trial.values, self._directions)  # between equal violations
        bisect.insort(self._keys, (rank_of(trial, self._directions), losses, trial.number))
        self._trials[trial.number] = trial

    def since_best(self) -> int | None:
        """Count the trials with a higher number than the best one."""
        return sum(number > self._keys[0][-1] for number in self._trials) if self._keys else None

    def choose(self) -> list[TrialSummary]:
        """Return the trials to show, from worst to best."""
        indices = _spread(len(self._keys), N_BEST, N_SPREAD)
        chosen = [self._trials[self._keys[i][-1]] for i in reversed(indices)]
        return summarize(chosen, self._directions)


class FrontRanking:
    """Trials with several objectives: the Pareto front, and a sample of the latest others."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = directions
        self._n = 0
        self._front: dict[int, Losses] = {}
        self._front_trials: dict[int, FrozenTrial] = {}
        self._recent: deque[tuple[Losses, FrozenTrial]] = deque(maxlen=_POOL)

    def __len__(self) -> int:
        return self._n

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial that has a result."""
        losses = to_losses(trial.values, self._directions)
        self._n += 1
        self._recent.append((losses, trial))
        if rank_of(trial, self._directions)[0] > 0:
            return
        if not enter_front(self._front, trial.number, losses):
            return
        if len(self._front) > _POOL:
            del self._front[next(iter(self._front))]
        known = {**self._front_trials, trial.number: trial}
        self._front_trials = {number: known[number] for number in self._front}

    def since_best(self) -> int | None:
        """Return :obj:`None`: no single trial is the best."""
        return None

    def choose(self) -> list[TrialSummary]:
        """Return the trials to show: others from worst to best, then the front."""
        numbers, front = list(self._front), list(self._front.values())
        kept = thinned(front, N_FRONT)
        shares = hypervolume_shares([front[i] for i in kept])
        others = self._others(front)
        summaries = summarize(
            [*others, *(self._front_trials[numbers[i]] for i in kept)], self._directions
        )
        shown = summaries[len(others) :]
        return [
            *summaries[: len(others)],
            *(replace(t, share=share) for t, share in zip(shown, shares, strict=True)),
        ]

    def _others(self, front: Sequence[Losses]) -> list[FrozenTrial]:
        others = {
            t.number: (losses, t) for losses, t in self._recent if t.number not in self._front
        }
        pool = [losses for losses, _ in others.values()] + list(front)
        ranked = sorted(
            (violation(trial), sum(dominates(other, losses) for other in pool), number)
            for number, (losses, trial) in others.items()
        )
        indices = _spread(len(ranked), 2, N_BEST + N_SPREAD - N_FRONT)
        return [others[ranked[i][-1]][1] for i in reversed(indices)]


def _spread(n: int, n_best: int, n_spread: int) -> list[int]:
    """Choose indices of a ranking: the first few, and an even sample of the others."""
    if n <= n_best + n_spread:
        return list(range(n))
    step = (n - n_best) / n_spread
    return [*range(n_best), *(n - 1 - int(i * step) for i in reversed(range(n_spread)))]


@dataclass(frozen=True)
class Result:
    """One finished trial of the model or the base sampler, as evidence for one of them."""

    number: int  # number of the trial
    is_models: bool  # whether its configuration was the model's; else it was the base sampler's
    # Whether the model had seen results when it proposed it. First proposals are not compared with
    # trials that were made with more knowledge.
    is_informed: bool
    rank: RankKey  # lower is better
    improved: bool  # whether it was better than all trials before it
    failed: bool = False  # whether it ended without a result


class Results:
    """Results of one study's latest finished trials, in the order of their numbers.

    Each trial is judged once, against all trials with lower numbers; again only when a trial with
    a lower number finishes later. Not thread-safe.
    """

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = directions
        self._n = 0
        # Number, source and rank; the first of them are judged.
        self._latest: list[tuple[int, str, RankKey]] = []
        self._judged: list[tuple[RankKey, bool]] = []
        # What the trials before the latest, and before those not judged, have reached.
        self._before: _Best | _Front = _Best() if len(directions) == 1 else _Front()
        self._reached: _Best | _Front | None = None

    def __len__(self) -> int:
        return self._n

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial."""
        self._n += 1
        source = _keys.source_kind(trial.user_attrs)
        entry = (trial.number, source, rank_of(trial, self._directions))
        position = bisect.bisect(self._latest, entry)
        self._latest.insert(position, entry)
        if position < len(self._judged):
            del self._judged[position:]
            self._reached = None
        if len(self._latest) > _N_COMPARED:
            number, _, rank = self._latest.pop(0)
            self._before.add(number, rank)
            if not self._judged:
                self._reached = None
            del self._judged[:1]

    def latest(self, informed_from: float) -> list[Result]:
        """Return the latest trials of both samplers, by number.

        ``informed_from`` is the first trial whose proposals were made with results at hand.
        """
        self._judge()
        return [
            Result(
                number=number,
                is_models=source == "llm",
                is_informed=number >= informed_from,
                rank=rank,
                improved=improved,
                failed=rank == _FAILED,
            )
            for (number, source, _), (rank, improved) in zip(
                self._latest, self._judged, strict=True
            )
            if source in ("llm", "base", "fallback")  # other trials are the user's own
        ]

    def _judge(self) -> None:
        n_judged = len(self._judged)
        if self._reached is None:
            self._reached = copy.deepcopy(self._before)
            for number, _, rank in self._latest[:n_judged]:
                self._reached.add(number, rank)
        for number, _, rank in self._latest[n_judged:]:
            self._judged.append(self._reached.judge(rank))
            self._reached.add(number, rank)


class _Best:
    """The best rank of trials with one objective."""

    def __init__(self) -> None:
        self._rank: RankKey | None = None

    def add(self, number: int, rank: RankKey) -> None:
        self._rank = min(self._rank or rank, rank)

    def judge(self, rank: RankKey) -> tuple[RankKey, bool]:
        """Return a trial's rank and whether it improves the best."""
        return rank, rank != _FAILED and (self._rank is None or rank < self._rank)


class _Front:
    """The Pareto front of trials with several objectives."""

    def __init__(self) -> None:
        self._points: dict[int, Losses] = {}

    def add(self, number: int, rank: RankKey) -> None:
        if rank[0] == 0 and rank[1:] not in self._points.values():
            enter_front(self._points, number, rank[1:])

    def judge(self, rank: RankKey) -> tuple[RankKey, bool]:
        """Return a trial's rank and whether it enters the front.

        Trials that enter come first, by the share of the hypervolume that they add; then those
        that fewer points of the front dominate or equal.
        """
        if rank[0] > 0:
            return rank, False
        losses, points = rank[1:], list(self._points.values())
        n_better = sum(other == losses or dominates(other, losses) for other in points)
        if n_better:
            return (0.0, 1.0, n_better), False
        front = [other for other in points if not dominates(losses, other)]
        kept = [front[i] for i in thinned(front, _MAX_FRONT)]
        (share,) = hypervolume_shares([*kept, losses], [len(kept)])
        return (0.0, 0.0, -share), True
