"""Does a model read a history? A bump in four parameters, with real and with shuffled scores.

The optimum is drawn anew for every seed and the names mean nothing, so that all knowledge is in
the history. What a proposal is worth is its distance to the optimum; the control steps around the
best three trials, which a classical sampler does as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution

from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.summary import StudySummary, TrialSummary


Points = NDArray[np.float64]
SPACE: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(4)}
_LENGTHS = (15, 40)
_NOISE = 0.1
# How many the model is shown: of the best, and across the rest.
_N_BEST, _N_SPREAD = 6, 10


@dataclass(frozen=True)
class History:
    """Trials of one seed.

    Attributes:
        optimum:
            Where the score is highest.
        points:
            Uniform draws.
        scores:
            In [0, 1]; shuffled, they say nothing.
    """

    optimum: Points
    points: Points
    scores: Points


def bump_names() -> tuple[str, ...]:
    return tuple(f"bump/{n}{kind}" for n in _LENGTHS for kind in ("", "-shuffled"))


def history(name: str, seed: int) -> History:
    """Draw the trials; the shuffled ones are those of the same seed, with other scores."""
    length, _, kind = name.removeprefix("bump/").partition("-")
    rng = np.random.RandomState(seed)
    optimum = rng.uniform(0.15, 0.85, len(SPACE))
    points = rng.uniform(size=(int(length), len(SPACE)))
    scores = np.exp(-(((points - optimum) / 0.5) ** 2).sum(axis=1))
    return History(optimum, points, rng.permutation(scores) if kind else scores)


def bump_question(name: str, seed: int, request_seed: int) -> Question:
    """Ask with the trials that a digest would show: the best, and a sample across the rest."""
    trials = history(name, seed)
    order = np.argsort(trials.scores)
    rest = order[:-_N_BEST]
    spread = rest[np.linspace(0, len(rest) - 1, min(_N_SPREAD, len(rest))).astype(int)]
    shown = tuple(
        TrialSummary(
            int(i),
            {key: round(float(x), 3) for key, x in zip(SPACE, trials.points[i], strict=True)},
            (float(trials.scores[i]),),
        )
        for i in [*spread, *order[-_N_BEST:]]
    )
    digest = StudySummary(("maximize",), ("",), finished=shown, n_finished=len(order))
    return Question(SPACE, digest, task="An unknown function of four numbers.", seed=request_seed)


def distance(name: str, seed: int, proposals: Sequence[dict[str, float]]) -> float:
    """Mean distance to the optimum, per parameter (uniform draws: about .35)."""
    optimum = history(name, seed).optimum
    points = np.array([[proposal[key] for key in SPACE] for proposal in proposals])
    return float(np.abs(points - optimum).mean()) if len(points) else math.nan


def gaussian_around_the_best(name: str, seed: int, n: int = 8) -> list[dict[str, float]]:
    """The control: steps of a tenth of the range around the three best trials."""
    trials = history(name, seed)
    rng = np.random.RandomState(seed + 10_000)
    best = trials.points[np.argsort(trials.scores)[-3:]]
    points = best[rng.randint(3, size=n)] + _NOISE * rng.standard_normal((n, len(SPACE)))
    return [dict(zip(SPACE, map(float, point), strict=True)) for point in points.clip(0, 1)]
