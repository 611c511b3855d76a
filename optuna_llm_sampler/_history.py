"""Which trials the model is shown: a bounded digest of frozen trials, as plain data.

The digest of 10,000 trials is no longer than that of 100: the best few, a sample across the rest,
every kind of failure once, and what is running now.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


N_BEST = 6
N_SPREAD = 10
N_RUNNING = 16
N_FAILED = 6


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


def known_params(trials: Sequence[FrozenTrial]) -> list[Mapping[str, Any]]:
    """Return the parameters of every trial that need not be tried again, failed ones included."""
    return [trial.params for trial in trials if trial.params]


def digest(
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    metric_names: Sequence[str] | None = None,
) -> Digest:
    """Choose and order what the model is shown."""
    scored = [t for t in trials if t.values is not None and _usable(t)]
    scored.sort(key=lambda t: _badness(t, directions, scored), reverse=True)
    running = [t for t in trials if t.state == TrialState.RUNNING and t.params]
    failed = [t for t in trials if t.state == TrialState.FAIL and t.params]
    return Digest(
        directions=tuple(d.name.lower() for d in directions),
        metric_names=tuple(metric_names or [""] * len(directions)),
        finished=tuple(_shown(t) for t in _spread(scored)),
        running=tuple(_shown(t) for t in running[-N_RUNNING:]),
        failed=tuple(_shown(t) for t in failed[-N_FAILED:]),
        n_finished=len(scored),
        n_failed=len(failed),
    )


def _usable(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and not any(
        math.isnan(v) for v in trial.values or ()
    )


def _badness(
    trial: FrozenTrial, directions: Sequence[StudyDirection], trials: Sequence[FrozenTrial]
) -> tuple[float, float, int]:
    """Sort key: pruned after complete, then by value (several objectives: by mean rank)."""
    losses = _losses(trial, directions)
    pruned = float(trial.state == TrialState.PRUNED)
    if len(losses) == 1:
        return pruned, losses[0], trial.number
    dominated = sum(_dominates(_losses(t, directions), losses) for t in trials[-200:])
    return pruned, float(dominated), trial.number


def _losses(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> list[float]:
    return [
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(trial.values, directions, strict=False)
    ]


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=False)) and list(a) != list(b)


def _spread(worst_to_best: list[FrozenTrial]) -> list[FrozenTrial]:
    """Keep the best few and an even sample of the others."""
    if len(worst_to_best) <= N_BEST + N_SPREAD:
        return worst_to_best
    rest, best = worst_to_best[:-N_BEST], worst_to_best[-N_BEST:]
    step = len(rest) / N_SPREAD
    return [rest[int(i * step)] for i in range(N_SPREAD)] + best


def _shown(trial: FrozenTrial) -> Shown:
    params = {name: _plain(trial.params[name], trial.distributions[name]) for name in trial.params}
    values = tuple(trial.values) if trial.values is not None else ()
    return Shown(trial.number, params, values, trial.state == TrialState.PRUNED)


def _plain(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution) or isinstance(value, int):
        return value
    return float(f"{value:.3g}")
