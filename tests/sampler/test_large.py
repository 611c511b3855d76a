"""Spaces that are large, odd, exhausted or empty: bounded questions, and trials that go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
import json
import random
import re
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import create_trial, FrozenTrial, Trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._advice.ask import ask
from optuna_llm_sampler._advice.prepare import prepare
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._advice.renaming import short_names
from optuna_llm_sampler._study.history import History
from optuna_llm_sampler._study.space import SearchSpace
from optuna_llm_sampler._study.summary import TrialSummary
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.llms.style import as_style
from optuna_llm_sampler.testing import FakeLLM


# 6,000 by the local models' tokenizer: the estimate may be a sixth too low.
MAX_TOKENS = 6_000 / 1.2
_PIECE = re.compile(r"\d|[^\W\d]{1,4}|[^\w\s]{1,2}|_|\n")


def n_tokens(text: str) -> int:
    """Estimate tokens: one per digit, per four letters and per two other characters.

    The tokenizer of the local models counted 4,432 tokens where this says 4,408 ("numbers"), 5,369
    for 4,575 ("choices"), 5,750 for 5,154 ("long names") and 5,150 for 4,854 ("non-ASCII").
    """
    return len(_PIECE.findall(text))


def numbers(n: int) -> dict[str, BaseDistribution]:
    """Floats, integers and choices with names as people give them."""
    space: dict[str, BaseDistribution] = {}
    for i in range(n // 3):
        space[f"layer{i}_learning_rate"] = FloatDistribution(1e-6, 1e-1, log=True)
        space[f"layer{i}_hidden_units"] = IntDistribution(8, 2048)
        space[f"layer{i}_activation"] = CategoricalDistribution(["relu", "gelu", "tanh", None])
    return space


def choices(n: int, n_choices: int = 200) -> dict[str, BaseDistribution]:
    return {
        f"token_{i}": CategoricalDistribution([f"word {i} {j}" for j in range(n_choices)])
        for i in range(n)
    }


def long_names(n: int) -> dict[str, BaseDistribution]:
    return {f"the_{'very_' * 38}long_{i}": FloatDistribution(0, 1) for i in range(n)}


SPACES: dict[str, Callable[[], dict[str, BaseDistribution]]] = {
    "numbers": lambda: numbers(60),
    "choices": lambda: choices(60),
    "long names": lambda: long_names(60),
    "non-ASCII": lambda: {f"größe {i} ≥ 参数": FloatDistribution(0, 1) for i in range(60)},
}


def past(space: SearchSpace, n: int) -> list[FrozenTrial]:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    rng = random.Random(0)
    trials = []
    for number in range(n):
        params = {name: _value(distribution, rng) for name, distribution in space.items()}
        failed = number % 9 == 0
        trial = create_trial(
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            value=None if failed else rng.random(),
            params=params,
            distributions=dict(space),
            user_attrs={"llm_error": "ValueError: " + "x" * 500} if failed else {},
            intermediate_values={} if failed else {step: rng.random() for step in range(9)},
        )
        trial.number = number
        trials.append(trial)
    assert not study.trials
    return trials


def _value(distribution: BaseDistribution, rng: random.Random) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return rng.choice(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return rng.randint(distribution.low, distribution.high)
    assert isinstance(distribution, FloatDistribution)
    return rng.uniform(distribution.low, distribution.high)


@cache
def asked_after_many(space: str) -> Question:
    # Optuna itself looks a choice up among 200 by comparing one by one.
    return question(SPACES[space](), 200 if space == "choices" else 1_000)


def question(space: SearchSpace, n: int) -> Question:
    known = History([StudyDirection.MINIMIZE])
    trials = past(space, n)
    for trial in trials:
        known.add(trial)
    running = [TrialSummary(n + i, trial.params) for i, trial in enumerate(trials[:16])]
    seen = known.space()
    assert len(seen) == len(space)
    return Question(seen, known.summary(running, None, seen), untried=known.untried(seen))


@pytest.mark.parametrize("style", ["json", "code"])
@pytest.mark.parametrize("space", SPACES)
def test_sixty_parameters_and_a_thousand_trials_fit(space: str, style: str) -> None:
    asked = asked_after_many(space)
    prepared = prepare(asked, as_style(style), timeout=60.0)
    request = prepared.request
    text = "\n".join(message["content"] for message in request.messages)
    tokens = n_tokens(text)
    # Large models are shown about five times as much of the history.
    most = MAX_TOKENS if style == "code" else 2.4 * MAX_TOKENS
    assert tokens <= most
    assert len(text) <= 3 * most
    schema = json.dumps(request.schema) if request.schema else ""
    assert n_tokens(schema) <= MAX_TOKENS
    assert len(prepared.question.space) == len(asked.space)
    assert all(name in text for name in prepared.question.space)
    if style == "json":
        assert f"{asked.summary.n_finished} finished trials" in text
        assert "Running now" in text
        assert "failed with" in text


def test_long_names_are_short_in_the_question_and_whole_in_the_answer() -> None:
    space = long_names(3)
    short = short_names(space)
    assert len(set(short.values())) == 3
    assert all(len(name) <= 60 and name.isidentifier() for name in short.values())

    def answer(request: Request) -> str:
        config = {**dict.fromkeys(short.values(), 0.5), "why": "middle"}
        return json.dumps({"configs": [config]})

    asked = question(space, 10)
    llm = FakeLLM(answer)
    advice = ask(llm, asked, lambda params: params == dict.fromkeys(space, 0.1), timeout=10).advice
    assert dict(advice.configs[0].params) == dict.fromkeys(space, 0.5)
    assert "very_very_very_very_very_very_very" not in llm.requests[0].messages[1]["content"]
    middle = dict.fromkeys(space, 0.5)
    assert not ask(llm, asked, lambda params: params == middle, timeout=10).advice.configs


def test_a_choice_among_two_hundred_comes_back() -> None:
    space = choices(1)
    words = [f"word 0 {j}" for j in range(200)]
    llm = FakeLLM(lambda request: '{"configs": [{"token_0": "word 0 173"}]}')
    sampler = LLMSampler(llm, search_space=space, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: len(t.suggest_categorical("token_0", words)), n_trials=1)
    assert study.trials[0].params == {"token_0": "word 0 173"}
    text = llm.requests[0].messages[1]["content"]
    assert "and 140 more" in text


@pytest.mark.parametrize("style", ["json", "code"])
def test_names_and_choices_beyond_ascii(style: str) -> None:
    space: dict[str, BaseDistribution] = {
        "größe": IntDistribution(1, 9),
        "модель 🤖": CategoricalDistribution(["баланс", "速度", "x\u2028y"]),
    }
    answer = {"größe": 4, "модель 🤖": "速度"}

    def handler(request: Request) -> str:
        if request.schema:
            return json.dumps({"configs": [answer]})
        return json.dumps(answer, ensure_ascii=False)[1:]

    sampler = LLMSampler(FakeLLM(handler, style=style), search_space=space, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda t: (
            t.suggest_int("größe", 1, 9)
            + len(t.suggest_categorical("модель 🤖", ["баланс", "速度", "x\u2028y"]))
        ),
        n_trials=1,
    )
    assert study.trials[0].params == answer
    assert study.trials[0].user_attrs["llm_source"] == "llm"


# --- nothing left to say --------------------------------------------------------------------


def grid(trial: Trial) -> float:
    return trial.suggest_int("a", 0, 1) + len(trial.suggest_categorical("b", ["x", "yy"]))


def every(request: Request) -> str:
    points = [{"a": a, "b": b} for a in (0, 1) for b in ("x", "yy")]
    return json.dumps({"configs": points})


def test_a_grid_that_is_used_up_costs_few_calls_and_no_trial() -> None:
    llm = FakeLLM(every)
    sampler = LLMSampler(llm, base_sampler=RandomSampler(seed=0), llm_share=0.5, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(grid, n_trials=40)
    assert len(study.trials) == 40
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    proposed = [t.params for t in study.trials if t.user_attrs["llm_source"] == "llm"]
    assert len(proposed) == len({str(params) for params in proposed})
    assert len(llm.requests) <= 8


def test_one_point_spaces_ask_nobody() -> None:
    llm = FakeLLM(every)
    space: dict[str, BaseDistribution] = {"c": IntDistribution(3, 3)}
    study = optuna.create_study(sampler=LLMSampler(llm, search_space=space, seed=0))
    study.optimize(lambda t: t.suggest_int("c", 3, 3), n_trials=3)
    assert [trial.params for trial in study.trials] == [{"c": 3}] * 3
    assert not llm.requests


def test_a_budget_smaller_than_a_block_takes_the_best_guesses() -> None:
    llm = FakeLLM(every)
    space: dict[str, BaseDistribution] = {
        "a": IntDistribution(0, 1),
        "b": CategoricalDistribution(["x", "yy"]),
        "c": IntDistribution(3, 3),
    }
    study = optuna.create_study(sampler=LLMSampler(llm, search_space=space, n_configs=8, seed=0))
    study.optimize(grid, n_trials=2)
    assert [trial.params for trial in study.trials] == [{"a": 0, "b": "x"}, {"a": 0, "b": "yy"}]
    assert len(llm.requests) == 1
