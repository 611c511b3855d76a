"""One question → one advice: what is made of the samples of a small model."""

from __future__ import annotations

from dataclasses import replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
import pytest

from optuna_llm_sampler._advice.ask import ask
from optuna_llm_sampler._advice.prepare import nameless
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.space import SearchSpace
from optuna_llm_sampler._study.summary import StudySummary
from optuna_llm_sampler.errors import ConnectionFailedError
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "kind": CategoricalDistribution(["a", "b", None]),
}
QUESTION = Question(SPACE, StudySummary(("minimize",), ("",)), n_configs=8, seed=3)


class Samples:
    """Answers in turn; each request begins with the next of the given lists."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = list(answers)
        self.left: list[str] = []
        self.llm = FakeLLM(self._next, style="code")

    def _next(self, request: Request) -> str:
        if not self.left:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            self.left = list(answer)
        return self.left.pop(0)


SAME = ["lr=1e-3, kind='a')"] * 8
FEW = ["lr=1e-3, kind='a')"] * 6 + ["lr=1e-2, kind='a')", "lr=1e-2, kind='b')"]
MANY = [f"lr={k}e-5, kind='b')" for k in range(1, 9)]


def test_samples_that_differ_are_asked_for_once() -> None:
    model = Samples(MANY)
    answer = ask(model.llm, QUESTION, timeout=60.0)
    assert answer.call.requests == len(model.llm.requests) == 1
    assert answer.advice.n_ideas == 8
    assert len(answer.advice.configs) == 8


def test_too_few_ideas_are_added_to_by_wilder_samples() -> None:
    model = Samples(FEW, MANY)
    answer = ask(model.llm, QUESTION, timeout=60.0)
    first, second = model.llm.requests
    assert first.temperature is not None
    assert second.temperature is not None
    assert second.temperature > 1 > first.temperature
    assert (first.seed, second.seed) == (3, 11)
    assert second.messages == first.messages
    assert answer.call.requests == 2
    assert answer.advice.n_ideas == 11
    assert len(answer.advice.configs) == 8


OPERATIONS = CategoricalDistribution(["none", "skip", "conv", "pool"])
CELL: SearchSpace = {f"op{i}": OPERATIONS for i in range(5)}


def test_a_small_model_is_not_asked_about_parameters_without_a_meaning() -> None:
    model = Samples(["lr=1e-3)", "lr=2e-3)", "lr=3e-3)", "lr=4e-3)"])
    question = replace(QUESTION, space={**CELL, "lr": SPACE["lr"]}, n_configs=4)
    answer = ask(model.llm, question, timeout=9.0)
    assert all(set(c.params) == {"lr"} for c in answer.advice.configs)
    assert "op0" not in model.llm.requests[0].messages[1]["content"]


def test_without_a_meaningful_parameter_nobody_is_asked() -> None:
    model = Samples()
    answer = ask(model.llm, replace(QUESTION, space=CELL), timeout=9.0)
    assert answer.outcome == "nameless"
    assert answer.call.requests == len(model.llm.requests) == 0


@pytest.mark.parametrize(
    "question",
    [
        replace(QUESTION, space=CELL, param_notes={name: f"edge {name}" for name in CELL}),
        replace(QUESTION, space={f"activation{i}": OPERATIONS for i in range(5)}),
        replace(QUESTION, space={n: CELL[n] for n in ("op0", "op1", "op2")}),
        replace(QUESTION, space=CELL, conditions={n: {"op0": ("conv",)} for n in list(CELL)[1:]}),
    ],
    ids=["notes", "name", "few", "structure"],
)
def test_what_has_a_meaning_is_asked_about(question: Question) -> None:
    assert not nameless(question)


def test_a_large_model_is_asked_whatever_the_names() -> None:
    llm = FakeLLM(lambda request: '{"configs": [{"op0": "conv"}]}', style="json")
    assert ask(llm, replace(QUESTION, space=CELL), timeout=9.0).outcome == "ok"


def test_a_model_of_one_idea_says_so() -> None:
    model = Samples(SAME, SAME)
    answer = ask(model.llm, QUESTION, timeout=60.0)
    assert answer.outcome == "ok"
    assert answer.advice.n_ideas == 1
    assert len(answer.advice.configs) == 3  # its idea moved a little, the middle, its idea
    assert answer.advice.rejected == {"repeated": 15}


def test_what_is_there_survives_a_second_request_that_fails() -> None:
    model = Samples(FEW, ConnectionFailedError("gone"))
    answer = ask(model.llm, QUESTION, timeout=60.0)
    assert answer.outcome == "ok"
    assert answer.advice.n_ideas == 3


def test_nothing_usable_and_then_an_error() -> None:
    model = Samples(["nonsense"] * 8, ConnectionFailedError("gone"))
    assert isinstance(ask(model.llm, QUESTION, timeout=60.0).error, ConnectionFailedError)


@pytest.mark.parametrize(("n_finished", "moved"), [(9, True), (10, False)])
def test_samples_stay_as_they_are_once_there_is_a_history(n_finished: int, moved: bool) -> None:
    summary = StudySummary(("minimize",), ("",), n_finished=n_finished)
    question = replace(QUESTION, summary=summary)
    configs = ask(Samples(MANY).llm, question, timeout=60.0).advice.configs
    assert any(config.why for config in configs) == moved
    drawn = {config.params["lr"] for config in configs} <= {float(f"{k}e-5") for k in range(1, 9)}
    assert drawn != moved
