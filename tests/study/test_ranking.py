"""Results of trials are judged against all trials with lower numbers, whenever they arrive."""

from __future__ import annotations

import random

from optuna.study import StudyDirection
from optuna.trial import create_trial, FrozenTrial, TrialState
import pytest

from optuna_llm_sampler._study.ranking import Results


def trials(n: int, n_objectives: int) -> list[FrozenTrial]:
    rng = random.Random(0)
    found = []
    for number in range(n):
        failed = rng.random() < 0.1
        trial = create_trial(
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            values=None if failed else [rng.randrange(20) for _ in range(n_objectives)],
            user_attrs={"llm_source": rng.choice(["llm", "base", "enqueued"])},
        )
        trial.number = number
        found.append(trial)
    return found


@pytest.mark.parametrize("n_objectives", [1, 2, 3])
def test_results_depend_neither_on_the_order_of_arrival_nor_on_readings(n_objectives: int) -> None:
    directions = [StudyDirection.MINIMIZE] * n_objectives
    in_order, parallel = Results(directions), Results(directions)
    finished = trials(350, n_objectives)
    for trial in finished:
        in_order.add(trial)
    late = sorted(finished, key=lambda trial: trial.number + 40 * (trial.number % 7 == 0))
    for i, trial in enumerate(late):
        parallel.add(trial)
        if i % 3 == 0:
            parallel.latest(10)
    assert parallel.latest(10) == in_order.latest(10)
    assert len(parallel) == len(finished)
    assert parallel.latest(10)[0].number >= 50


def test_a_trial_is_judged_against_trials_long_gone() -> None:
    for n_objectives in (1, 2):
        results = Results([StudyDirection.MINIMIZE] * n_objectives)
        for number, value in enumerate([0.0] + [1.0] * 400):
            trial = create_trial(values=[value] * n_objectives, user_attrs={"llm_source": "base"})
            trial.number = number
            results.add(trial)
        assert not any(result.improved for result in results.latest(0))
