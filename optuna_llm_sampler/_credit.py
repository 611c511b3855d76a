"""Whether a model has earned its share: a pure function of what trials came to.

It is computed from the storage alone, so that all workers agree without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import median
from typing import TYPE_CHECKING

from optuna.study import StudyDirection
from optuna.trial import TrialState

from . import _keys


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


# A model that is as good as the base sampler loses six times in a row once in 64 times.
PATIENCE = 6
# With how many of the base sampler's trials, the nearest in time, one of the model's is compared.
_NEIGHBOURS = 8
_MIN_NEIGHBOURS = 4
# A single failure is an accident.
_MIN_FAILED = 2
# A fallback is a trial of the base sampler's; defaults and enqueued trials are the user's.
_JUDGED = ("llm", "base", "fallback")


@dataclass(frozen=True)
class Result:
    """What a finished trial came to.

    Attributes:
        number:
            Of the trial.
        is_models:
            Whether its configuration was the model's.
        loss:
            Lower is better; infinite for a trial that failed or was pruned.
    """

    number: int
    is_models: bool
    loss: float


def is_spent(results: Sequence[Result]) -> bool:
    """Tell whether the last six of the model's trials were all worse than those around them.

    Worse: than the median of the base sampler's trials nearest in time. While there are hardly
    any of these, the model is given credit.
    """
    mine = [result for result in results if result.is_models][-PATIENCE:]
    others = [result for result in results if not result.is_models]
    if len(mine) < PATIENCE or len(others) < _MIN_NEIGHBOURS:
        return False
    return all(result.loss > _usual(result.number, others) for result in mine)


def _usual(number: int, others: Sequence[Result]) -> float:
    near = sorted(others, key=lambda other: abs(other.number - number))[:_NEIGHBOURS]
    return median(other.loss for other in near)


def only_fails(trials: Sequence[FrozenTrial]) -> bool:
    """Tell whether all of the model's trials that have ended failed, two at least.

    Its first proposals are much alike: where half of the space fails (12 tables, 60 pairs), 97 %
    of the first two failed, and 70 % of the three after them.
    """
    ended = [
        trial.state
        for trial in trials
        if _keys.read(trial.user_attrs, _keys.SOURCE) == "llm" and trial.state.is_finished()
    ]
    return len(ended) >= _MIN_FAILED and set(ended) == {TrialState.FAIL}


def results_of(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[Result]:
    """Return the results of finished trials; none with several objectives, which have no order."""
    if len(directions) > 1:
        return []
    sign = -1.0 if directions[0] == StudyDirection.MAXIMIZE else 1.0
    return [
        Result(trial.number, source == "llm", _loss(trial, sign))
        for trial in trials
        if trial.state.is_finished()
        and (source := str(_keys.read(trial.user_attrs, _keys.SOURCE))).startswith(_JUDGED)
    ]


def _loss(trial: FrozenTrial, sign: float) -> float:
    if trial.state != TrialState.COMPLETE or trial.value is None:
        return math.inf
    return sign * trial.value
