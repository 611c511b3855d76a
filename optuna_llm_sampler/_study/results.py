"""Finished trials of the model and the base sampler, ranked: what the evidence is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import TypeAlias

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from . import keys as _keys
from .objectives import dominates
from .objectives import Losses
from .objectives import shares
from .objectives import thinned
from .ranking import losses_of
from .ranking import violation


# Sorts finished trials from best to worst.
RankKey: TypeAlias = tuple[float, ...]
# Only trials of the latest numbers are compared.
_LATEST = 300
# The hypervolume of a front is computed from no more points than these.
_MAX_FRONT = 10
_FAILED: RankKey = (3.0,)


@dataclass(frozen=True)
class Result:
    """One finished trial.

    Attributes:
        number:
            Number of the trial.
        is_models:
            Whether its configuration was the model's; else it was the base sampler's.
        is_informed:
            Whether the model had seen results when it proposed it. First proposals are not
            compared with trials that were made with more knowledge.
        rank:
            Lower is better.
        improved:
            Whether it was better than all trials before it.
        failed:
            Whether it ended without a result.
    """

    number: int
    is_models: bool
    is_informed: bool
    rank: RankKey
    improved: bool
    failed: bool = False


class Results:
    """Outcomes of one study's finished trials, kept by number. Not thread-safe.

    A trial's level is 0 when it is complete and feasible, 1 when it was pruned, 2 when it breaks a
    constraint and 3 when it failed. A lower level is better. Within a level, the lower loss, the
    later step and the smaller violation are better. With several objectives, trials that enter the
    Pareto front come first, by the share of the hypervolume that they add; then those that fewer
    points of the front dominate.

    Args:
        directions:
            Directions of the study's objectives.
    """

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._directions = directions
        self._sources: dict[int, str] = {}
        self._ranks: dict[int, RankKey] = {}
        self._losses: dict[int, Losses] = {}

    def __len__(self) -> int:
        return len(self._ranks)

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial."""
        self._sources[trial.number] = _keys.source_kind(trial.user_attrs)
        usable = trial.values is not None and not any(math.isnan(v) for v in trial.values)
        if trial.state == TrialState.FAIL or not usable:
            self._ranks[trial.number] = _FAILED
            return
        losses = losses_of(trial, self._directions)
        if (broken := violation(trial)) > 0:
            self._ranks[trial.number] = (2.0, broken)
        elif trial.state == TrialState.PRUNED:
            self._ranks[trial.number] = (1.0, -float(trial.last_step or 0), *losses)
        else:
            self._ranks[trial.number] = (0.0, *losses)
            self._losses[trial.number] = losses

    def latest(self, informed_from: float) -> list[Result]:
        """Return the latest trials of both samplers, by number.

        Args:
            informed_from:
                First trial whose proposals were made with results at hand.
        """
        numbers = sorted(self._ranks)
        ranked = self._ranked(numbers[-_LATEST:])
        best = min((self._ranks[n] for n in numbers[:-_LATEST]), default=None)
        found = []
        for number, rank in ranked:
            if len(self._directions) > 1:
                improved = rank[:2] == (0.0, 0.0)
            else:
                improved = rank != _FAILED and (best is None or rank < best)
                best = min(best or rank, rank)
            source = self._sources[number]
            if source in ("llm", "base", "fallback"):  # other trials are the user's own
                found.append(
                    Result(
                        number,
                        source == "llm",
                        number >= informed_from,
                        rank,
                        improved,
                        rank == _FAILED,
                    )
                )
        return found

    def _ranked(self, numbers: Sequence[int]) -> list[tuple[int, RankKey]]:
        if len(self._directions) == 1:
            return [(number, self._ranks[number]) for number in numbers]
        front: list[Losses] = []
        found = []
        for number in numbers:
            rank = self._ranks[number]
            if number in self._losses:
                losses = self._losses[number]
                worse = sum(dominates(other, losses) or other == losses for other in front)
                rank = (0.0, 1.0, worse)
                if not worse:
                    front = [o for o in front if not dominates(losses, o)]
                    kept = [front[i] for i in thinned(front, _MAX_FRONT)] if front else []
                    rank = (0.0, 0.0, -shares([*kept, losses])[-1])
                    front.append(losses)
            found.append((number, rank))
        return found
