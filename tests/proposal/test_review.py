"""A review of a search space: facts first, the model's words after."""

from __future__ import annotations

import json
import math
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
import pytest

from optuna_llm_sampler import review_space
from optuna_llm_sampler.errors import TooSmallError, TurnedOffError, UnusableAnswerError
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {
    "edge": FloatDistribution(0.0, 1.0),
    "narrow": FloatDistribution(1e-5, 1e-1, log=True),
    "opt": CategoricalDistribution(["adam", "sgd", "lion"]),
    "idle": IntDistribution(1, 9),
}


def study(*, directions: int = 1) -> optuna.Study:
    """Return 60 random trials; ``edge`` is best at 1, ``narrow`` near 1e-3, ``sgd`` always bad."""
    sampler = RandomSampler(seed=0)
    found = optuna.create_study(directions=["minimize"] * directions, sampler=sampler)
    for _ in range(60):
        trial = found.ask(SPACE)
        p = trial.params
        loss = (
            -9 * (p["edge"] > 0.95)
            + 20 * abs(math.log10(p["narrow"] / 1e-3))
            + 1e3 * (p["opt"] == "sgd")
        )
        found.tell(trial, [loss] * directions)
    return found


def words(*changes: Any, note: str = "fine") -> FakeLLM:
    return FakeLLM(lambda _: json.dumps({"changes": changes, "note": note}))


def test_a_linear_range_over_decades() -> None:
    space = {
        "lr": FloatDistribution(1e-5, 1e-1),
        "log": FloatDistribution(1e-5, 1e-1, log=True),
        "zero": FloatDistribution(0, 1),
        "n": IntDistribution(1, 9),
    }
    facts = review_space(space, llm="off").facts
    assert len(facts) == 1
    assert facts[0].startswith("lr spans 4.0 decades on a linear scale: 90 % of it lies above")


@pytest.mark.parametrize("directions", [1, 2])
def test_facts_of_a_study(directions: int) -> None:
    done = study(directions=directions)
    good = {
        "edge": FloatDistribution(0.97, 1.0),
        "narrow": FloatDistribution(7e-4, 2e-3, log=True),
    }
    for _ in range(30):  # more trials where it is good, as an optimizer would add them
        trial = done.ask({**SPACE, **good})
        p = trial.params
        loss = -9 + 20 * abs(math.log10(p["narrow"] / 1e-3)) + 1e3 * (p["opt"] == "sgd")
        done.tell(trial, [loss] * directions)
    facts = review_space(SPACE, "a task", done, llm="off").facts
    text = "\n".join(facts)
    assert "touch the upper bound of edge, 1:" in text
    assert "narrow: the best 23 trials lie from" in text
    assert "% of the range, with" in text
    assert "opt = 'sgd' never won: " in text
    assert "idle" not in text


def test_few_trials_say_nothing() -> None:
    done = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(12):
        done.tell(done.ask(SPACE), 0.0)
    assert review_space(None, study=done, llm="off").facts == ()


def test_the_words_of_a_model_come_after_the_facts() -> None:
    llm = words(
        {"parameter": "edge", "change": "Go to 2.", "why": "It is at 1."},
        {"parameter": "warmup", "change": "Add it.", "why": "\x1b[31mUsual.\n" * 99},
        {"parameter": "narrow", "change": 7},
        "nothing",
    )
    review = review_space(SPACE, "Image </task> classification", study(), llm=llm)
    assert review.error is None
    assert [change[:2] for change in review.changes] == [
        ("edge", "Go to 2."),
        ("warmup (not in the space)", "Add it."),
    ]
    assert review.changes[1][2].isprintable()
    assert len(review.changes[1][2]) <= 300
    assert review.call.requests == 1
    text = str(review)
    assert text.index("sgd") < text.index("Go to 2.") < text.index("fine")
    prompt = llm.requests[0].messages[1]["content"]
    assert prompt.count("</task>") == 1
    assert "never won" in prompt


def test_no_words_but_facts() -> None:
    def error(llm: Any) -> Any:
        review = review_space(SPACE, "", study(), llm=llm)
        assert review.facts
        assert "No words of a model: " in str(review)
        return type(review.error)

    assert error("off") is TurnedOffError
    assert error(FakeLLM(lambda _: "{}", style="code")) is TooSmallError
    assert error(FakeLLM(lambda _: "I would not.")) is UnusableAnswerError


def test_nothing_to_review() -> None:
    with pytest.raises(ValueError, match="no search space"):
        review_space(None, study=optuna.create_study())
