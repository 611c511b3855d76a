"""The model's share by evidence: a pure function of finished trials.

All workers compute it from the storage alone, so they agree without a lock.

Each of the model's last eight trials is compared with the base sampler's trials that are nearest
to it by number, because both improve as a study goes on. The share of comparisons that the model
wins, as a Mann-Whitney statistic (1947, doi:10.1214/aoms/1177730491), and the rates at which both
improved the best result make a score in standard deviations. The normal distribution turns the
score into a share.

A model can also mislead the base sampler: what it tries is what the base sampler learns from. So
trials that are all bad are hidden from the base sampler (benchmarks/decisions.md, "A model that
misleads").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import NormalDist

from .._store.store import Snapshot
from .._study.ranking import Result


# The model's share after its first proposals, before there is evidence.
START_SHARE = 0.75
# The loser keeps a small share, so that it can recover.
MIN_SHARE, MAX_SHARE = 0.05, 0.95
# How many of the model's latest trials count, and with how many base trials each is compared.
N_RECENT = 8
N_NEIGHBORS = 8
# Older trials do not count, so that a model with a small share recovers once it is good.
_MAX_AGE = 50
# Largest distance by number of a base trial that a model's trial is compared with.
_MAX_DISTANCE = 40
# Weight of the improvement rates, and the largest score of the comparisons. A model that repeats
# the best configuration wins all of them and improves nothing (benchmarks/decisions.md, "Who gets
# the next trial").
_IMPROVEMENTS = 1.0
_MAX_RANK_SCORE = 2.5
# After so many trials of the model, the start share counts half.
_START_COUNTS = 4
# A model misleads if none of its trials is better than this part of the base sampler's, of which
# there have to be some.
_MISLEADING, _MIN_BASE = 0.75, 3
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Evidence:
    """The comparison of the model with the base sampler."""

    n_model: int = 0  # how many of the model's latest trials were compared, eight at most
    n_base: int = 0  # how many different trials of the base sampler they were compared with
    beaten: float = 0.5  # share of the comparisons that the model won, ties counting half
    # How many of the compared trials improved the best result.
    model_improved: int = 0
    base_improved: int = 0
    share: float = 0.5  # the model's share of the next trials, in [0, 1]
    # Numbers of the model's trials that the base sampler should not learn from: all of them or
    # none.
    misleading: tuple[int, ...] = ()


def weigh(results: Sequence[Result], *, start: float) -> Evidence:
    """Compare the model's latest trials with the base sampler's around them.

    Args:
        results:
            Finished trials of both, ordered by number.
        start:
            The model's share without any evidence, in (0, 1).
    """
    base = [r for r in results if not r.is_models]
    oldest = max((r.number for r in results), default=0) - _MAX_AGE
    judged = [r for r in results if r.is_models and (r.is_informed or r.failed)]
    mine = [r for r in judged if r.number >= oldest][-N_RECENT:]
    near = [_neighbors(r, base) for r in mine]
    compared = [(r, others) for r, others in zip(mine, near, strict=True) if others]
    # Failures are defeats even without base trials to compare with, unless there is only one.
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
    # If neither has improved anything for long, that must not count for the model.
    score += _IMPROVEMENTS * (rates if improved[0] else min(rates, 0.0))
    share = _NORMAL.cdf(_NORMAL.inv_cdf(start) / (1 + n_model / _START_COUNTS) + score)
    share = round(min(max(share, MIN_SHARE), MAX_SHARE), 2)
    misleading = _misleading([r for r in results if r.is_models], base)
    return Evidence(n_model, n_base, beaten, improved[0], improved[1], share, misleading)


def _misleading(mine: Sequence[Result], base: Sequence[Result]) -> tuple[int, ...]:
    """Return the model's trials, if none of them is better than most of the base sampler's.

    Someone who knows the worst points draws the base sampler away from the best region, if that
    has the worst points, too. Random points do not: one of a few is better than most.
    """
    if len(base) < _MIN_BASE:
        return ()
    limit = sorted(r.rank for r in base)[int(_MISLEADING * len(base))]
    if any(r.rank < limit for r in mine):
        return ()
    return tuple(r.number for r in mine)


def _neighbors(result: Result, base: Sequence[Result]) -> list[Result]:
    near = [r for r in base if abs(r.number - result.number) <= _MAX_DISTANCE]
    return sorted(near, key=lambda r: abs(r.number - result.number))[:N_NEIGHBORS]


def _beaten(result: Result, others: Sequence[Result]) -> float:
    wins = sum((result.rank < r.rank) + 0.5 * (result.rank == r.rank) for r in others)
    return wins / len(others)


def _log_rate(n: int, of: int) -> float:
    """Return the logarithm of a rate, with half a success in one additional trial."""
    return math.log((n + 0.5) / (of + 1))


def evidence_of(snapshot: Snapshot) -> Evidence:
    """Compare the trials of a study."""
    # The first proposals were made without any result.
    informed_from = snapshot.advices[1].start if len(snapshot.advices) > 1 else math.inf
    return weigh(snapshot.history.results(informed_from), start=START_SHARE)
