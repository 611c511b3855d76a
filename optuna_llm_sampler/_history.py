"""What the trials of a study have shown, kept up to date one finished trial at a time.

The digest of 10,000 trials is no longer than that of 100 (the best few, a sample across the rest,
failures, what is running now), and costs no more to make.
"""

from __future__ import annotations

from array import array
import bisect
from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
import threading
from typing import Any
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from ._advice import NEAR
from ._branches import Conditions
from ._branches import parent_values
from ._space import SearchSpace
from ._space import unit
from ._structure import Structure


N_BEST = 6
N_SPREAD = 10
N_RUNNING = 16
N_FAILED = 6
# With several objectives: from how many of the Pareto front and of the latest trials to choose.
_POOL = 100


@dataclass(frozen=True)
class Shown:
    """One trial as the model sees it."""

    number: int
    params: Mapping[str, Any]
    values: tuple[float, ...] = ()
    pruned: bool = False


@dataclass(frozen=True)
class Digest:
    """What the model is told about a study.

    Attributes:
        directions:
            ``"minimize"`` or ``"maximize"`` per objective.
        metric_names:
            Name per objective, ``""`` when the user gave none.
        finished:
            Trials with values, from worst to best.
        running:
            Trials that are being run now.
        failed:
            Trials without a result.
        n_finished, n_failed:
            How many there are in all.
    """

    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    finished: tuple[Shown, ...] = ()
    running: tuple[Shown, ...] = ()
    failed: tuple[Shown, ...] = ()
    n_finished: int = 0
    n_failed: int = 0


def seen_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return every parameter that a finished trial had, with its latest distribution, by name.

    Failed trials count: they, too, have shown what the objective asks for. A parameter with one
    possible value is left out, since Optuna never asks a sampler for it.
    """
    space: dict[str, BaseDistribution] = {}
    for trial in trials:
        if trial.state.is_finished():
            space.update(trial.distributions)
    return {name: space[name] for name in sorted(space) if not space[name].single()}


class History:
    """The finished trials of one study. Thread-safe.

    Args:
        directions:
            Of the study's objectives.
    """

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = tuple(directions)
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[int, BaseDistribution]] = {}
        self._structure = Structure()
        self._known = _Points()
        self._scored = _Ranking() if len(self._directions) == 1 else _Front()
        self._failed: deque[FrozenTrial] = deque(maxlen=N_FAILED)
        self._n_failed = 0

    def add(self, trial: FrozenTrial) -> None:
        """Take in a trial that has just finished."""
        if not trial.params and trial.values is None:
            return
        with self._lock:
            if trial.params:
                self._add_params(trial)
            if trial.values is not None and _is_usable(trial):
                self._scored.add(_losses(trial, self._directions), trial)
            elif trial.state == TrialState.FAIL:
                self._failed.append(trial)
                self._n_failed += 1

    def _add_params(self, trial: FrozenTrial) -> None:
        distributions = trial.distributions
        internal = {n: distributions[n].to_internal_repr(v) for n, v in trial.params.items()}
        self._known.add(internal, distributions)
        full = trial.state == TrialState.COMPLETE
        self._structure.add(trial.number, internal, distributions, full=full)
        for name, distribution in distributions.items():
            if trial.number >= self._latest.get(name, (-1, None))[0]:
                self._latest[name] = (trial.number, distribution)

    def space(self) -> dict[str, BaseDistribution]:
        """Return what :func:`seen_space` does, less the parameters that are not used any more."""
        with self._lock:
            space = {
                name: distribution
                for name, (_, distribution) in sorted(self._latest.items())
                if not distribution.single()
            }
            gone = self._structure.forgotten(self._structure.conditions(space))
        return {name: distribution for name, distribution in space.items() if name not in gone}

    def conditions(self, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Tell with which values of which parameters others are used, as far as it shows."""
        with self._lock:
            return self._structure.conditions(space)

    def optional(self, names: Sequence[str], conditions: Conditions) -> frozenset[str]:
        """Tell which of these parameters some trials do not have for no known reason."""
        with self._lock:
            return self._structure.unexplained(names, conditions)

    def untried(self, space: SearchSpace) -> dict[str, tuple[Any, ...]]:
        """Return the values that no trial has had, by parameter with few values."""
        with self._lock:
            seen = {name: self._structure.seen(name, d) for name, d in space.items()}
        found = {
            name: tuple(v for v in parent_values(d) or () if v not in seen[name])
            for name, d in space.items()
        }
        return {name: values for name, values in found.items() if values}

    def knows(self, params: Mapping[str, Any], space: SearchSpace) -> bool:
        """Tell whether a finished trial, failed ones included, had nearly these parameters."""
        with self._lock:
            return self._known.has_near(params, space)

    def digest(self, running: Sequence[Shown], metric_names: Sequence[str] | None) -> Digest:
        """Choose and order what the model is shown."""
        with self._lock:
            n_finished, best_first = len(self._scored), self._scored.choose()
            failed, n_failed = list(self._failed), self._n_failed
        return Digest(
            directions=tuple(d.name.lower() for d in self._directions),
            metric_names=tuple(metric_names or [""] * len(self._directions)),
            finished=tuple(_shown(t) for t in reversed(best_first)),
            running=tuple(running[-N_RUNNING:]),
            failed=tuple(_shown(t) for t in failed),
            n_finished=n_finished,
            n_failed=n_failed,
        )


def plain(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Round numbers to what a model needs to see."""
    return {name: _plain(value, space.get(name)) for name, value in params.items()}


def _plain(value: Any, distribution: BaseDistribution | None) -> Any:
    if isinstance(distribution, CategoricalDistribution) or not isinstance(value, float):
        return value
    return float(f"{value:.3g}")


def _shown(trial: FrozenTrial) -> Shown:
    values = tuple(trial.values) if trial.values is not None else ()
    params = plain(trial.params, trial.distributions)
    return Shown(trial.number, params, values, trial.state == TrialState.PRUNED)


def _is_usable(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and not any(
        math.isnan(v) for v in trial.values
    )


def _losses(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> tuple[float, ...]:
    return tuple(
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(trial.values, directions, strict=False)
    )


# --- the best, and a sample of the others ---------------------------------------------------

_Key: TypeAlias = tuple[float, float, int]


class _Ranking:
    """Trials with one objective, best first, pruned ones last."""

    def __init__(self) -> None:
        self._keys: list[_Key] = []
        self._trials: dict[int, FrozenTrial] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, losses: tuple[float, ...], trial: FrozenTrial) -> None:
        pruned = float(trial.state == TrialState.PRUNED)
        bisect.insort(self._keys, (pruned, losses[0], trial.number))
        self._trials[trial.number] = trial

    def choose(self) -> list[FrozenTrial]:
        return [self._trials[self._keys[i][2]] for i in _spread(len(self._keys))]


class _Front:
    """Trials with several objectives: the latest of the Pareto front, and the latest of all."""

    def __init__(self) -> None:
        self._n = 0
        self._front: dict[int, tuple[tuple[float, ...], FrozenTrial]] = {}
        self._recent: deque[tuple[tuple[float, ...], FrozenTrial]] = deque(maxlen=_POOL)

    def __len__(self) -> int:
        return self._n

    def add(self, losses: tuple[float, ...], trial: FrozenTrial) -> None:
        self._n += 1
        self._recent.append((losses, trial))
        if any(_dominates(other, losses) for other, _ in self._front.values()):
            return
        beaten = [n for n, (other, _) in self._front.items() if _dominates(losses, other)]
        for number in beaten:
            del self._front[number]
        self._front[trial.number] = (losses, trial)
        if len(self._front) > _POOL:
            del self._front[next(iter(self._front))]

    def choose(self) -> list[FrozenTrial]:
        pool = {trial.number: (losses, trial) for losses, trial in self._recent} | self._front
        ranked = sorted(
            (sum(_dominates(other, losses) for other, _ in pool.values()), number)
            for number, (losses, _) in pool.items()
        )
        return [pool[ranked[i][1]][1] for i in _spread(len(ranked))]


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=False)) and a != b


def _spread(n: int) -> list[int]:
    """Choose places in a ranking: the first few, and an even sample of the others."""
    if n <= N_BEST + N_SPREAD:
        return list(range(n))
    step = (n - N_BEST) / N_SPREAD
    return [*range(N_BEST), *(n - 1 - int(i * step) for i in reversed(range(N_SPREAD)))]


# --- what has been tried --------------------------------------------------------------------


class _Points:
    """Configurations as columns of numbers, so that 10,000 are compared in a millisecond."""

    def __init__(self) -> None:
        self._n = 0
        self._columns: dict[str, array[float]] = {}

    def add(self, internal: Mapping[str, float], distributions: SearchSpace) -> None:
        for name, value in internal.items():
            column = self._columns.setdefault(_column(name, distributions[name]), array("d"))
            column.extend([math.nan] * (self._n - len(column)))
            column.append(value)
        self._n += 1

    def has_near(self, params: Mapping[str, Any], space: SearchSpace) -> bool:
        near = np.ones(self._n, dtype=bool)
        for name, value in params.items():
            column = self._columns.get(_column(name, space[name]))
            if column is None or not near.any():
                return False
            known = np.full(self._n, math.nan)
            known[: len(column)] = column
            near &= np.abs(_units(known, space[name]) - unit(value, space[name])) < NEAR
        return bool(near.any())


def _column(name: str, distribution: BaseDistribution) -> str:
    """Name a column; indices of choices mean something only among the same choices."""
    if isinstance(distribution, CategoricalDistribution):
        return f"{name} in {distribution.choices!r}"
    return name


def _units(internal: NDArray[np.float64], distribution: BaseDistribution) -> NDArray[np.float64]:
    """The same as :func:`~optuna_llm_sampler._space.unit`, for a column."""
    if isinstance(distribution, CategoricalDistribution):
        return internal
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return np.where(np.isnan(internal), internal, 0.0)
    clipped = np.clip(internal, low, high)
    if distribution.log:
        clipped, low, high = np.log(clipped), math.log(low), math.log(high)
    if math.isinf(high - low):
        clipped, low, high = clipped / 2, low / 2, high / 2
    units: NDArray[np.float64] = (clipped - low) / (high - low)
    return units
