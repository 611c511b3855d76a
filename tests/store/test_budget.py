"""What a study may spend: counted from the storage, by all workers together."""

from __future__ import annotations

from dataclasses import replace
import itertools
import json
import pickle
import time
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study
import pytest

from optuna_llm_sampler import Budget, calls, LLMSampler, OpenAI, Price, usage
from optuna_llm_sampler._advice.call import Call
from optuna_llm_sampler._store.records import AdviceRecord, to_attribute
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler.llms import Completion, LLM, Request
from optuna_llm_sampler.report.html import to_html
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.report.text import to_markdown, to_text
from optuna_llm_sampler.testing import FakeLLM

from ..support.fakes import fake
from ..support.mixed import objective, params, POINT, sources, SPACE
from ..support.servers import answering_server, Body


class Answers:
    """Says something new in every answer."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __call__(self, body: Body | Request) -> str:
        x = -9.0 + 0.5 * next(self._numbers)
        return json.dumps({"configs": [{**POINT, "x": x, "why": "?"}]})


def tuned(llm: LLM, n_trials: int = 20, study: Study | None = None, **arguments: Any) -> Study:
    """Run a study in which every trial wants an advice of its own."""
    arguments = {"llm_share": 1.0, "n_configs": 1, "seed": 0, **arguments}
    base = RandomSampler(seed=0)
    sampler = LLMSampler(llm, search_space=SPACE, base_sampler=base, **arguments)
    study = study or optuna.create_study()
    study.sampler = sampler
    study.optimize(objective, n_trials=n_trials)
    return study


# --- each kind --------------------------------------------------------------------------------


def test_a_budget_of_calls() -> None:
    llm = FakeLLM(Answers())
    study = tuned(llm, budget=Budget(calls=5))
    assert len(llm.requests) == usage(study).calls == 5
    assert sources(study) == ["llm"] * 5 + ["fallback:budget"] * 15


def test_a_budget_of_dollars_at_an_endpoint_that_counts() -> None:
    # 100 tokens in, 64 of them cached, and 20 out: 36 × 1 + 64 × 0.5 + 20 × 10 millionths.
    price = Price(1, 10, cached=0.5)
    one = (36 + 32 + 200) / 1e6
    with answering_server(Answers()) as server:
        llm = OpenAI(base_url=server.url, model="m")
        arguments: dict[str, Any] = {"prices": {"openai/m": price}}
        study = tuned(llm, budget=Budget(usd=3.5 * one), **arguments)
        assert len(server.received) == 4  # the fourth was begun within the budget
        tuned(llm, study=study, budget=Budget(usd=3.5 * one), **arguments)
        assert len(server.received) == 4
        tuned(llm, study=study, budget=Budget(usd=6 * one), **arguments)
        assert len(server.received) == 6
    assert usage(study).usd == pytest.approx(6 * one)
    assert "Budget used: $0.0016 of $0.0016." in to_text(report(study))


def test_a_budget_of_tokens() -> None:
    with answering_server(Answers()) as server:
        llm = OpenAI(base_url=server.url, model="m")
        tuned(llm, budget=Budget(tokens=250))
        assert len(server.received) == 3  # of 120 each


def test_a_budget_of_seconds() -> None:
    answer = Answers()

    def slow(request: Request) -> str:
        time.sleep(0.02)
        return answer(request)

    study = tuned(FakeLLM(slow), budget=Budget(seconds=0.01))
    assert usage(study).calls == 1
    assert sources(study).count("fallback:budget") == 19


def test_no_budget_at_all() -> None:
    for nothing in (Budget(calls=0), Budget(tokens=0), Budget(usd=0), Budget(seconds=0)):
        llm = fake()
        study = tuned(llm, 5, budget=nothing)
        assert llm.requests == []
        assert set(sources(study)) == {"fallback:budget"}
        alone = optuna.create_study(sampler=RandomSampler(seed=0))
        alone.optimize(objective, n_trials=5)
        assert params(study) == params(alone)


def test_the_default_is_no_limit() -> None:
    llm = FakeLLM(Answers())
    tuned(llm, budget=Budget())
    assert len(llm.requests) == 20


# --- what counts ------------------------------------------------------------------------------


def test_a_useless_answer_is_not_asked_for_again_with_the_last_call() -> None:
    for n in (1, 2, 3, 4):
        llm = FakeLLM(lambda request: "I have no idea.")
        study = tuned(llm, budget=Budget(calls=n))
        assert len(llm.requests) == usage(study).calls == n


def test_calls_of_dead_workers_count() -> None:
    study = optuna.create_study()
    for _ in range(3):
        trial = study.ask()
        claim = {"trial": trial.number, "ticket": trial.number, "block": 0}
        value = {"v": 1, **claim, "asking": True, "at": 1.0, "lease": 3.0}
        study._storage.set_trial_system_attr(trial._trial_id, "llm:claim", value)
    llm = FakeLLM(Answers())
    tuned(llm, study=study, budget=Budget(calls=5))
    assert len(llm.requests) == 2
    assert usage(study).calls == 5
    assert usage(study).outcomes == {"lost": 3, "ok": 2}


def test_claims_of_nobody_do_not_eat_the_budget() -> None:
    study = optuna.create_study()
    trial = study.ask()
    for asked_on in range(1, 50):  # no more calls than trials
        value = {"v": 1, "trial": 0, "ticket": asked_on, "block": 0, "asking": True}
        study._storage.set_trial_system_attr(
            trial._trial_id, f"llm:claim{asked_on}", {**value, "at": 1.0, "lease": 3.0}
        )
    assert AdviceStore.of(study).read().unanswered == frozenset()


class Silent:
    """A model that does not say what it is or what it took."""

    name = "mystery"

    def __init__(self) -> None:
        self.answer = Answers()
        self.n = 0

    def complete(self, request: Request) -> Completion:
        self.n += 1
        return Completion((self.answer(request),))


def test_estimates_count_where_nobody_counts() -> None:
    llm = Silent()
    study = tuned(llm, budget=Budget(tokens=2_000))
    first = calls(study)[0]
    one = (first.input_tokens or 0) + (first.output_tokens or 0)
    assert first.estimated
    assert abs(llm.n - 2_000 / one) <= 1  # prompts grow a little


def test_dollars_need_a_price(caplog: pytest.LogCaptureFixture) -> None:
    llm = Silent()
    study = tuned(llm, 5)
    assert llm.n == 5  # an unknown price costs no answer
    optuna.logging.enable_propagation()
    tuned(llm, 5, study, budget=Budget(usd=9))
    optuna.logging.disable_propagation()
    assert llm.n == 5
    said = {r.getMessage() for r in caplog.records if "prices=" in r.getMessage()}
    assert len(said) == 1
    assert "mystery" in said.pop()
    # The tokens of the past are on record: with a price, they count.
    tuned(llm, 5, study, budget=Budget(usd=9), prices={"mystery": Price(1, 1)})
    assert llm.n == 10


def test_a_call_of_unknown_price_is_not_taken_for_free() -> None:
    def may_ask(usd: float, *past: Call) -> bool:
        study = optuna.create_study()
        for i, call in enumerate(past):
            trial = study.ask()
            record = AdviceRecord(i, i, call=call)
            AdviceStore.of(study).record(trial._trial_id, record)
            study.tell(trial, 0.0)
        arguments: dict[str, Any] = {"prices": {"fake": Price(1, 1)}, "n_trials": 1}
        llm = FakeLLM(Answers())
        tuned(llm, study=study, budget=Budget(usd=usd), **arguments)
        return bool(llm.requests)

    known = Call(asked="openai/gpt-5-mini", requests=1, input_tokens=10**6, output_tokens=0)
    unknown = replace(known, asked="x")
    assert may_ask(1.5, known, replace(unknown, usd=1.0))  # 0.25 + 1.0
    assert not may_ask(1.2, known, replace(unknown, usd=1.0))
    assert not may_ask(9, known, unknown)
    refused = replace(unknown, input_tokens=None, output_tokens=None)  # nothing was counted
    assert may_ask(9, known, refused)


# --- said and shown ---------------------------------------------------------------------------


def test_reaching_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    study = tuned(FakeLLM(Answers()), budget=Budget(calls=2, seconds=3600))
    optuna.logging.disable_propagation()
    said = [r for r in caplog.records if "used up" in r.getMessage()]
    assert {r.getMessage() for r in said} == {
        "The budget of the study is used up (2 of 2 calls). The base sampler goes on."
    }
    assert len({r.created for r in said}) == 1
    assert not any(r.levelname == "WARNING" for r in caplog.records)
    data = report(study)
    assert "2 of 2 calls" in to_text(data)
    assert "2 of 2 calls" in to_markdown(data)
    assert "2 of 2 calls" in to_html(data)
    assert data.fallbacks == {"budget": 18}
    assert not report(tuned(fake(), 2)).budget


@pytest.mark.parametrize("name", ["calls", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "5", True])
def test_a_budget_is_a_number(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=name):
        Budget(**{name: bad})


def test_calls_are_whole() -> None:
    with pytest.raises(ValueError, match="calls"):
        Budget(calls=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="budget"):
        LLMSampler(fake(), budget=5)  # type: ignore[arg-type]


def test_it_travels_with_the_sampler_and_lies_with_the_advice() -> None:
    sampler = LLMSampler(OpenAI(model="m"), budget=Budget(calls=5))
    assert pickle.loads(pickle.dumps(sampler))._settings.budget == Budget(calls=5)
    record = AdviceRecord(0, 0, 0, budget=Budget(usd=0.5), call=Call("m"))
    study = optuna.create_study()
    trial = study.ask()
    study._storage.set_trial_system_attr(
        trial._trial_id, "llm:post:0", {"v": 1, **to_attribute(record)}
    )
    (found,) = AdviceStore.of(study).read().records
    assert found == record
