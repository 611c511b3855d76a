"""What calls took: counted, priced, told. Over real HTTP where an endpoint counts."""

from __future__ import annotations

from dataclasses import asdict, replace
import json
import pickle
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study
import pytest

from optuna_llm_sampler import CallRecord, calls, LLMSampler, OpenAI, Price, usage
from optuna_llm_sampler._advice.call import Call, complete, estimate
from optuna_llm_sampler._store.calls import keep
from optuna_llm_sampler._store.prices import cost_of, price_of, PRICES
from optuna_llm_sampler._study import keys as _keys
from optuna_llm_sampler.errors import CallTimeoutError, RateLimitError, TruncatedError
from optuna_llm_sampler.llms import Request, TokenUsage
from optuna_llm_sampler.report.explain import explain
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.report.text import to_text
from optuna_llm_sampler.testing import FakeLLM

from ..support.mixed import objective, POINT, SPACE
from ..support.servers import answering_server, Body, misbehaving_server, prompt_of, Server


ANSWER = json.dumps({"configs": [{**POINT, "why": "known"}]})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")


def answer(body: Body) -> str:
    return ANSWER


def tuned(server: Server, n_trials: int = 1, **arguments: Any) -> Study:
    llm = OpenAI(base_url=server.url, model="m", max_retries=0)
    base = RandomSampler(seed=0)
    sampler = LLMSampler(llm, search_space=SPACE, base_sampler=base, seed=0, **arguments)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=n_trials)
    return study


def test_a_call_says_what_it_took() -> None:
    with answering_server(answer) as server:
        study = tuned(server, prices={"openai/m": Price(1, 10, cached=0)})
    (call,) = calls(study)
    assert (call.trial, call.purpose, call.outcome) == (0, "advice", "ok")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (100, 20, 64)
    assert call.usd == pytest.approx((36 * 1 + 20 * 10) / 1e6)
    assert (call.requests, call.configs, call.estimated) == (1, 1, False)
    assert call.seconds > 0
    assert call.at > 1.7e9
    assert call.model == "model-at-the-server"
    total = usage(study)
    assert (total.calls, total.input_tokens, total.usd) == (1, 100, call.usd)
    assert (total.unpriced, total.estimated) == (0, False)


@pytest.mark.parametrize(
    ("behaviour", "tokens"),
    [
        ("refusal", (100, 20)),
        ("truncated", (200, 40)),  # once more with a higher limit
        ("truncated_in_thought", (200, 40)),
        ("no_content", (100, 20)),
        ("empty_list", (200, 40)),  # asked once more
        ("rate_limited", (None, None)),
    ],
)
def test_tokens_of_useless_answers_are_counted(
    behaviour: str, tokens: tuple[int | None, int | None]
) -> None:
    with misbehaving_server(behaviour, answer) as server:
        study = tuned(server, prices={"openai/m": Price(1, 10)})
    (call,) = calls(study)
    assert call.outcome != "ok"
    assert (call.input_tokens, call.output_tokens) == tokens
    assert (call.usd is None) == (tokens[0] is None)


def test_tokens_that_nobody_counts_are_estimated_and_say_so() -> None:
    with misbehaving_server("no_usage", answer) as server:
        study = tuned(server)
        words = sum(len(prompt_of(body)) for body in server.bodies)
    (call,) = calls(study)
    assert call.estimated
    assert usage(study).estimated
    assert call.input_tokens is not None
    assert words / 4 < call.input_tokens < words  # the schema is counted, too
    assert call.output_tokens == -(-len(ANSWER) // 3)
    assert "some tokens estimated" in to_text(report(study))


def test_a_request_that_timed_out_was_sent() -> None:
    request = Request(messages=({"role": "user", "content": "x" * 30},), timeout=0.3)
    with misbehaving_server("slow") as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        outcome, call = complete(llm, request, Call())
    assert isinstance(outcome, CallTimeoutError)
    assert (call.input_tokens, call.output_tokens, call.estimated) == (10, None, True)


def test_estimates_count_bytes() -> None:
    request = Request(messages=({"role": "user", "content": "x" * 30},))
    assert estimate(request, ["é" * 3]) == TokenUsage(10, 2)


# --- prices -----------------------------------------------------------------------------------


def test_prices_are_looked_up_by_name() -> None:
    assert price_of("openai/gpt-5-mini") == PRICES["openai/gpt-5-mini"]
    assert price_of("openai/gpt-5-mini-2025-08-07") == PRICES["openai/gpt-5-mini"]
    mine = {"openai/gpt-5-mini": Price(9, 9), "my-model": Price(1, 1)}
    assert price_of("openai/gpt-5-mini", mine) == Price(9, 9)
    assert price_of("azure/gpt-5-mini") is None  # a deployment may have any name
    call = Call(asked="azure/mine", model="my-model", input_tokens=1, output_tokens=1)
    assert cost_of(call) is None
    assert cost_of(call, mine) == 2e-6


def test_an_unknown_price_costs_no_answer_and_is_not_zero() -> None:
    with answering_server(answer) as server:
        study = tuned(server)
    assert study.trials[0].user_attrs["llm_source"] == "llm"
    assert calls(study)[0].usd is None
    assert usage(study).usd is None
    assert usage(study).unpriced == 1
    assert "price unknown" in to_text(report(study))


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "1", True])
def test_a_price_is_a_number(bad: Any) -> None:
    with pytest.raises(ValueError, match="output"):
        Price(1, bad)
    with pytest.raises(ValueError, match="prices"):
        LLMSampler(FakeLLM(lambda request: ""), prices={"m": bad})


# --- the hook ---------------------------------------------------------------------------------


def test_the_hook_is_told_what_the_call_log_says() -> None:
    told: list[CallRecord] = []
    with answering_server(answer) as server:
        study = tuned(server, on_call=told.append, n_configs=1, llm_share=1.0, n_trials=3)
    assert len(told) == 3
    assert told == calls(study)


def test_a_hook_that_fails_costs_no_trial() -> None:
    def fail(record: CallRecord) -> None:
        raise RuntimeError("no collector")

    with answering_server(answer) as server:
        study = tuned(server, on_call=fail)
    assert study.trials[0].user_attrs["llm_source"] == "llm"
    with pytest.raises(ValueError, match="on_call"):
        LLMSampler(FakeLLM(lambda request: ""), on_call="print")  # type: ignore[arg-type]


# --- calls that gave no advice ----------------------------------------------------------------


def test_a_call_whose_worker_is_gone_is_listed() -> None:
    study = optuna.create_study()
    trial = study.ask()
    claim = {"trial": 0, "block": 0, "ticket": 0, "asking": True, "at": 9.0}
    study._storage.set_trial_system_attr(
        trial._trial_id, _keys.CLAIM, {"v": _keys.VERSION, **claim, "lease": 3.0}
    )
    assert [(c.trial, c.outcome, c.requests) for c in calls(study)] == [(0, "lost", 1)]
    assert "lost ×1" in to_text(report(study))


def test_calls_of_commands_are_listed() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(objective, n_trials=8)

    def limited(request: Request) -> str:
        raise RateLimitError("Too many.")

    explain(study, FakeLLM(lambda request: "What matters: nothing much."))
    with pytest.raises(RateLimitError):
        explain(study, FakeLLM(limited))
    assert [(c.trial, c.purpose, c.outcome) for c in calls(study)] == [
        (None, "explain", "ok"),
        (None, "explain", "rate_limit"),
    ]
    assert "explain (ok) ×1" in to_text(report(study))
    key = f"{_keys.CALL}x"
    odds: list[Any] = [None, 1, [], {"v": 1}, {"v": 2}, {"v": 1, "outcome": 1, "call": {}}]
    for odd in odds:
        study._storage.set_study_system_attr(study._study_id, key, odd)
        assert len(calls(study)) == 2


def test_a_study_that_cannot_be_written_loses_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()

    def refuse(*args: Any) -> None:
        raise RuntimeError("read only")

    monkeypatch.setattr(study._storage, "set_study_system_attr", refuse)
    keep(study, Call(), None)
    assert calls(study) == []


def test_errors_carry_usage_across_processes() -> None:
    error = TruncatedError("cut", usage=TokenUsage(5, 6))
    assert pickle.loads(pickle.dumps(error)).usage == TokenUsage(5, 6)
    assert TruncatedError("cut").usage == TokenUsage()
    record = CallRecord(trial=1)
    assert replace(record, **asdict(record)) == record
