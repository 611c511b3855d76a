"""What the model's and the base sampler's trials came to: pure functions of finished trials.

Everything is computed from the storage alone, so that all workers agree without a lock.

Each of the model's last eight trials is compared with the base sampler's trials that are nearest
to it by number, because both get better as a study goes on. The share of these comparisons that
the model wins, as a Mann-Whitney statistic (1947, doi:10.1214/aoms/1177730491), and the rates at
which both improved the best result make a score in standard deviations; the normal distribution
turns it into a share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from .._study.ranking import Result
from .shares import START_SHARE


if TYPE_CHECKING:
    from .._store.store import Snapshot


# The loser keeps a little, so that it can come back.
MIN_SHARE, MAX_SHARE = 0.05, 0.95
# The model's last trials that count, and with how many of the base sampler's each is compared.
N_RECENT = 8
N_NEIGHBORS = 8
# What is older is forgotten: a model with a small share comes back once it is good.
_MAX_AGE = 50
# Base trials that are farther away by number say nothing about the model's trial.
_MAX_DISTANCE = 40
# Weight of the improvement rates; and how much the comparisons count at most. A model that repeats
# the best wins all comparisons and improves nothing (benchmarks/decisions.md, "Who gets the
# next trial").
_IMPROVEMENTS = 1.0
_MAX_RANK_SCORE = 2.5
# The start counts half when so many trials of the model have been compared.
_START_COUNTS = 4
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Evidence:
    """What speaks for the model and against it.

    Attributes:
        n_model:
            How many of the model's latest trials were compared, at most eight.
        n_base:
            How many different trials of the base sampler they were compared with.
        beaten:
            Share of the comparisons that the model won, ties counting half.
        model_improved, base_improved:
            How many of these trials improved the best result.
        share:
            The model's share of the next trials, in [0, 1].
    """

    n_model: int = 0
    n_base: int = 0
    beaten: float = 0.5
    model_improved: int = 0
    base_improved: int = 0
    share: float = 0.5


def weigh(results: Sequence[Result], *, start: float) -> Evidence:
    """Weigh the model's latest trials against the base sampler's around them.

    Args:
        results:
            Finished trials of both, by number.
        start:
            Share while nothing is known, in (0, 1).
    """
    base = [r for r in results if not r.is_models]
    oldest = max((r.number for r in results), default=0) - _MAX_AGE
    judged = [r for r in results if r.is_models and (r.is_informed or r.failed)]
    mine = [r for r in judged if r.number >= oldest][-N_RECENT:]
    near = [_neighbors(r, base) for r in mine]
    compared = [(r, others) for r, others in zip(mine, near, strict=True) if others]
    # Failures are defeats even while there is nothing to compare them with; one is an accident.
    alone = sum(r.failed for r, others in zip(mine, near, strict=True) if not others)
    if alone < 2 or any(r.is_models and not r.failed for r in results):
        alone = 0
    used = {other.number: other for _, others in compared for other in others}
    n_model, n_base = len(compared) + alone, len(used)
    if not n_model:
        return Evidence(share=start)
    won = sum(_beaten(r, others) for r, others in compared)
    beaten = won / n_model
    m = min(n_base, N_NEIGHBORS) or 1
    score = (beaten - 0.5) / math.sqrt((n_model + m + 1) / (12 * n_model * m))
    score = min(max(score, -_MAX_RANK_SCORE), _MAX_RANK_SCORE)
    first = min((r.number for r, _ in compared), default=0)
    span = [r for r in base if r.number >= first]
    improved = sum(r.improved for r, _ in compared), sum(r.improved for r in span)
    rates = _log_rate(improved[0], n_model) - _log_rate(improved[1], len(span)) if span else 0.0
    # That both improved nothing for long says nothing for the model.
    score += _IMPROVEMENTS * (rates if improved[0] else min(rates, 0.0))
    share = _NORMAL.cdf(_NORMAL.inv_cdf(start) / (1 + n_model / _START_COUNTS) + score)
    share = round(min(max(share, MIN_SHARE), MAX_SHARE), 2)
    return Evidence(n_model, n_base, beaten, improved[0], improved[1], share)


def _neighbors(result: Result, base: Sequence[Result]) -> list[Result]:
    near = [r for r in base if abs(r.number - result.number) <= _MAX_DISTANCE]
    return sorted(near, key=lambda r: abs(r.number - result.number))[:N_NEIGHBORS]


def _beaten(result: Result, others: Sequence[Result]) -> float:
    wins = sum((result.rank < r.rank) + 0.5 * (result.rank == r.rank) for r in others)
    return wins / len(others)


def _log_rate(n: int, of: int) -> float:
    """Return the logarithm of a rate, as if half a success in one more trial had been seen."""
    return math.log((n + 0.5) / (of + 1))


def evidence_of(snapshot: Snapshot) -> Evidence:
    """Weigh what a study has shown so far."""
    # First proposals were made without any result.
    informed_from = snapshot.advices[1].start if len(snapshot.advices) > 1 else math.inf
    return weigh(snapshot.history.results(informed_from), start=START_SHARE)
