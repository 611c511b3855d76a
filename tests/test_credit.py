"""A bad model loses its share after six trials, and is not asked any more."""

from __future__ import annotations

import json
from typing import Any
from typing import Literal

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import Trial
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler import usage
from optuna_llm_sampler._credit import is_spent
from optuna_llm_sampler._credit import PATIENCE
from optuna_llm_sampler._credit import Result
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


Direction = Literal["minimize", "maximize"]
SPACE = dict.fromkeys("xy", FloatDistribution(0.0, 1.0))


def _results(*, mine: list[float], others: list[float]) -> list[Result]:
    losses = [(True, loss) for loss in mine] + [(False, loss) for loss in others]
    return [Result(number, *pair) for number, pair in enumerate(losses)]


def test_six_in_a_row_are_enough_and_five_are_not() -> None:
    others = [1.0] * 8
    assert is_spent(_results(mine=[2.0] * PATIENCE, others=others))
    assert not is_spent(_results(mine=[2.0] * (PATIENCE - 1), others=others))
    assert not is_spent(_results(mine=[2.0] * PATIENCE + [0.5], others=others))
    assert is_spent(_results(mine=[0.5] + [2.0] * PATIENCE, others=others))


def test_there_is_credit_while_there_is_nothing_to_compare_with() -> None:
    assert not is_spent(_results(mine=[2.0] * 10, others=[1.0] * 3))


def test_comparison_is_with_the_neighbours_in_time() -> None:
    # The base sampler got much better later on; the model's trials were good in their time.
    others = [Result(i, False, 5.0) for i in range(6, 14)]
    others += [Result(i, False, 0.1) for i in range(14, 60)]
    mine = [Result(i, True, 2.0) for i in range(6)]
    assert not is_spent(mine + others)
    assert is_spent([*others, *(Result(60 + i, True, 2.0) for i in range(6))])


class _Adviser:
    """Proposes points in a box, other ones at each request."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high, self._n = low, high, 0

    def __call__(self, request: Request) -> str:
        configs = []
        for _ in range(8):
            self._n += 1
            place = self._low + (self._high - self._low) * (self._n * 0.618 % 1.0)
            configs.append({"x": place, "y": self._low + (self._high - place)})
        return json.dumps({"configs": configs})


def _objective(trial: Trial) -> float:
    x, y = (trial.suggest_float(name, 0.0, 1.0) for name in "xy")
    return (x - 0.2) ** 2 + (y - 0.2) ** 2


def _run(direction: Direction, adviser: _Adviser, **arguments: Any) -> optuna.Study:
    sampler = LLMSampler(
        FakeLLM(adviser),
        search_space=SPACE,
        base_sampler=TPESampler(seed=0),
        seed=0,
        **arguments,
    )
    study = optuna.create_study(direction=direction, sampler=sampler)
    sign = 1.0 if direction == "minimize" else -1.0
    study.optimize(lambda trial: sign * _objective(trial), n_trials=80)
    return study


def _mine(study: optuna.Study) -> list[int]:
    return [t.number for t in study.trials if t.user_attrs["llm_source"] == "llm"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_bad_model_gets_six_trials_and_is_asked_no_more(direction: Direction) -> None:
    study = _run(direction, _Adviser(0.85, 1.0))
    assert len(_mine(study)) <= PATIENCE
    assert usage(study).calls <= 3


def test_a_good_model_keeps_its_share() -> None:
    study = _run("minimize", _Adviser(0.15, 0.25))
    assert len(_mine(study)) > PATIENCE
    assert _mine(study)[-1] > 50


def test_who_gives_the_model_all_trials_gets_that() -> None:
    study = _run("minimize", _Adviser(0.8, 1.0), llm_share=1.0)
    assert len(_mine(study)) > PATIENCE
