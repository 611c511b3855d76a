"""Trials with values, from best to worst, and which of them the model is shown."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
import math
from typing import TypeAlias

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from .._text import MAX_WHY_CHARS
from .._text import one_line
from . import keys as _keys
from .curves import curve
from .numbers import Spread
from .numbers import spread_of
from .objectives import dominates
from .objectives import Losses
from .objectives import shares
from .objectives import thinned
from .summary import TrialSummary


# How many trials are shown at most, if they fit: the best, and an even sample of the others.
N_BEST = 40
N_SPREAD = 40
N_FRONT = 20
MAX_ERROR_CHARS = 160
_SOURCES = {"llm": "llm", "base": "base", "fallback": "base"}
_OWN = ("defaults", "history", "enqueued")
# With several objectives: from how many of the Pareto front and of the latest trials to choose.
_POOL = 100

# Feasible before pruned before infeasible, then what counts on each level, then the number.
_Key: TypeAlias = tuple[int, float, float, int]


def shown(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[TrialSummary]:
    """Write trials the way the model sees them, side by side."""
    minimize = directions[0] != StudyDirection.MAXIMIZE
    lasts = [
        t.intermediate_values[max(t.intermediate_values)] for t in trials if t.intermediate_values
    ]
    among = spread_of(lasts, minimize=minimize)
    return [_shown(trial, among, minimize=minimize) for trial in trials]


def _shown(trial: FrozenTrial, among: Spread, *, minimize: bool) -> TrialSummary:
    told = curve(trial.intermediate_values, among, minimize=minimize)
    rungs = sum(key.startswith("completed_rung_") for key in trial.system_attrs)
    if trial.state == TrialState.PRUNED and rungs:
        # SuccessiveHalvingPruner and HyperbandPruner count them on the trial
        # (optuna/pruners/_successive_halving.py); a bracket is known to the pruner only.
        told += f", passed {rungs} rungs" if rungs > 1 else ", passed 1 rung"
    source = _keys.source_kind(trial.user_attrs)
    why = _keys.read(trial.user_attrs, _keys.WHY)
    return TrialSummary(
        trial.number,
        dict(trial.params),
        tuple(trial.values) if trial.values is not None else (),
        pruned=trial.state == TrialState.PRUNED,
        violated=violations(trial),
        curve=told,
        error=one_line(_keys.read(trial.user_attrs, _keys.ERROR), MAX_ERROR_CHARS),
        source="user" if source in _OWN else _SOURCES.get(source, ""),
        why=one_line(why, MAX_WHY_CHARS) if source == "llm" else "",
    )


def violations(trial: FrozenTrial) -> dict[str, float]:
    """Return by how much a trial breaks which constraints; the storage may hold anything."""
    return {
        name: float(amount)
        for name, amount in trial.constraints.items()
        if isinstance(amount, (int, float)) and amount > 0
    }


def violation(trial: FrozenTrial) -> float:
    """Return by how much a trial breaks its constraints in all, 0 when it is feasible."""
    return math.fsum(violations(trial).values())


def losses_of(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> Losses:
    """Return what is to be minimised."""
    return tuple(
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(trial.values, directions, strict=False)
    )


class Ranking:
    """Trials with one objective: the best, and a sample across the others."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = directions
        self._keys: list[_Key] = []
        self._trials: dict[int, FrozenTrial] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, trial: FrozenTrial) -> None:
        bisect.insort(self._keys, self._key(trial))
        self._trials[trial.number] = trial

    def _key(self, trial: FrozenTrial) -> _Key:
        loss = losses_of(trial, self._directions)[0]
        if (broken := violation(trial)) > 0:
            return 2, broken, loss, trial.number
        if trial.state == TrialState.PRUNED:  # who got further was better, as TPE sees it
            return 1, -float(trial.last_step or 0), loss, trial.number
        return 0, loss, 0.0, trial.number

    def since_best(self) -> int | None:
        """Count the trials with a higher number than the best one."""
        return sum(number > self._keys[0][-1] for number in self._trials) if self._keys else None

    def choose(self) -> list[TrialSummary]:
        """Return those to show, from worst to best."""
        places = spread(len(self._keys), N_BEST, N_SPREAD)
        chosen = [self._trials[self._keys[i][-1]] for i in reversed(places)]
        return shown(chosen, self._directions)


class Front:
    """Trials with several objectives: the Pareto front, and a sample of the latest others."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = directions
        self._n = 0
        self._front: dict[int, tuple[Losses, FrozenTrial]] = {}
        self._recent: deque[tuple[Losses, FrozenTrial]] = deque(maxlen=_POOL)

    def __len__(self) -> int:
        return self._n

    def add(self, trial: FrozenTrial) -> None:
        losses = losses_of(trial, self._directions)
        self._n += 1
        self._recent.append((losses, trial))
        if violation(trial) > 0 or trial.state == TrialState.PRUNED:
            return
        if any(dominates(other, losses) for other, _ in self._front.values()):
            return
        for number in [n for n, (o, _) in self._front.items() if dominates(losses, o)]:
            del self._front[number]
        self._front[trial.number] = (losses, trial)
        if len(self._front) > _POOL:
            del self._front[next(iter(self._front))]

    def since_best(self) -> int | None:
        return None

    def choose(self) -> list[TrialSummary]:
        """Return those to show: others from worst to best, then the front."""
        front = list(self._front.values())
        kept = [front[i] for i in thinned([losses for losses, _ in front], N_FRONT)]
        parts = shares([losses for losses, _ in kept])
        others = {
            t.number: (losses, t) for losses, t in self._recent if t.number not in self._front
        }
        pool = [losses for losses, _ in [*others.values(), *front]]
        ranked = sorted(
            (violation(trial), sum(dominates(other, losses) for other in pool), number)
            for number, (losses, trial) in others.items()
        )
        places = spread(len(ranked), 2, N_BEST + N_SPREAD - N_FRONT)
        chosen = [others[ranked[i][-1]][1] for i in reversed(places)]
        told = shown([*chosen, *(trial for _, trial in kept)], self._directions)
        return [
            *told[: len(chosen)],
            *(replace(t, share=part) for t, part in zip(told[len(chosen) :], parts, strict=True)),
        ]


def spread(n: int, n_best: int, n_spread: int) -> list[int]:
    """Choose places in a ranking: the first few, and an even sample of the others."""
    if n <= n_best + n_spread:
        return list(range(n))
    step = (n - n_best) / n_spread
    return [*range(n_best), *(n - 1 - int(i * step) for i in reversed(range(n_spread)))]
