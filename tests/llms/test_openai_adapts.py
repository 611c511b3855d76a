"""What an endpoint says in its errors and answers: it is done once and kept, or told the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
import logging
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
import pytest

from optuna_llm_sampler import LLMSampler, OpenAI
from optuna_llm_sampler._advice.ask import ask
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.summary import StudySummary
from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.errors import (
    AuthenticationError,
    ConnectionFailedError,
    OptunaLLMError,
    RateLimitError,
    ServerError,
    TruncatedError,
    UnusableAnswerError,
)
from optuna_llm_sampler.llms import Message, Request

from ..support import servers
from ..support.servers import Handler, Received, Reply, Server, serving


SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
QUESTION = Question(SPACE, StudySummary(("minimize",), ("",)), n_configs=4)
REQUEST = Request(
    messages=(
        Message(role="system", content="You tune."),
        Message(role="user", content="Tune x."),
    ),
    schema={"type": "object", "properties": {"configs": {"type": "array"}}},
    max_tokens=4000,
    timeout=30.0,
)
CODE = replace(
    REQUEST,
    messages=(*REQUEST.messages, Message(role="assistant", content="params = dict(")),
    schema=None,
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def at(server: Server, **kwargs: Any) -> OpenAI:
    return OpenAI(base_url=server.url, model="m", max_retries=0, **kwargs)


def always(reply: Reply) -> Callable[[Received, Handler], Reply]:
    return lambda received, handler: reply


def failure_of(reply: Reply, request: Request = REQUEST) -> OptunaLLMError:
    with serving(always(reply)) as server, pytest.raises(OptunaLLMError) as caught:
        at(server).complete(request)
    return caught.value


def limits(server: Server) -> list[int]:
    return [body["max_tokens"] for body in server.bodies]


# --- the token limit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (
            400,
            "This model's maximum context length is 4096 tokens. However, you requested 5000 "
            "tokens (1000 in the messages, 4000 in the completion). Please reduce the length.",
            2322,
        ),
        (
            400,
            "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum "
            "context length is 2048 tokens and your request has 1000 input tokens "
            "(4000 > 2048 - 1000).",
            786,
        ),
        (400, "max_tokens is too large: 4000. This model supports at most 3,072 tokens.", 3072),
        (400, "Invalid max_tokens value, the valid range of max_tokens is [1, 2000]", 2000),
        (
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 4000 "
            "tokens, but can only afford 1234.",
            1234,
        ),
        (
            413,
            "Request too large for model `m` on tokens per minute (TPM): Limit 3000, Requested "
            "5000, please reduce your message size and try again.",
            1500,
        ),
        (422, "max_tokens exceeds the maximum", 2000),
    ],
)
def test_a_limit_that_is_too_high_is_lowered_once_and_stays_so(
    status: int, words: str, expected: int
) -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        if received.body["max_tokens"] > expected:
            return servers.error(status, words)
        return servers.good(received, handler)

    with serving(respond) as server:
        llm = at(server)
        for _ in range(3):
            assert llm.complete(REQUEST).texts == (servers.GOOD,)
    assert limits(server) == [4000, expected, expected, expected]


@pytest.mark.parametrize(
    "refusal",
    [
        servers.error(402, "Insufficient balance"),
        servers.error(413, "Payload too large"),
        servers.error(
            400, "maximum context length is 4096 tokens, you sent 9000 tokens in the messages"
        ),
        servers.error(402, "You can only afford 20 tokens, reduce max_tokens"),
    ],
)
def test_where_a_lower_limit_does_not_help_the_refusal_is_final(refusal: Reply) -> None:
    with serving(always(refusal)) as server, pytest.raises(OptunaLLMError):
        at(server).complete(replace(REQUEST, schema=None, temperature=None))
    assert len(server.bodies) == 1


def reasoning(received: Received, needed: int, text: str = servers.GOOD) -> Reply:
    """Spend tokens on a thought first."""
    if received.body["max_tokens"] < needed:
        return Reply(body=servers.chat("", finish_reason="length"))
    return Reply(body=servers.chat(text))


def test_a_model_that_reasons_gets_more_tokens_once_and_for_good() -> None:
    with serving(lambda received, handler: reasoning(received, 9000)) as server:
        llm = at(server)
        first = llm.complete(REQUEST)
        llm.complete(REQUEST)
    assert limits(server) == [4000, 16000, 16000]
    assert first.usage.output_tokens == 40  # of both


@pytest.mark.parametrize("think", ['<think>Perhaps {"configs": [{"x": 0.9}]}, or', ""])
def test_a_thought_without_an_end_is_a_cut_answer(think: str) -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        if received.body["max_tokens"] < 9000:
            return Reply(body=servers.chat(think, finish_reason="length"))
        return servers.good(received, handler)

    with serving(respond) as server:
        assert at(server).complete(REQUEST).texts == (servers.GOOD,)
    assert limits(server) == [4000, 16000]


def test_code_gets_room_for_a_thought_as_well() -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        return reasoning(received, 4000, "params = dict(x=0.5)")

    with serving(respond) as server:
        assert at(server, style="code").complete(replace(CODE, max_tokens=90)).texts
    assert limits(server) == [90, 4096]


def test_the_same_request_is_not_sent_again_after_the_same_cut() -> None:
    with serving(lambda received, handler: reasoning(received, 10**6)) as server:
        llm = at(server)
        answer = ask(llm, QUESTION, timeout=30.0)
        assert isinstance(answer.error, TruncatedError)
        ask(llm, QUESTION, timeout=30.0)
    low, high = limits(server)[:2]
    assert low < high <= 16_384
    assert limits(server) == [low, high, high]


def test_more_tokens_than_the_server_takes_are_not_asked_for_again() -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        if received.body["max_tokens"] > 4000:
            return servers.error(400, "max_tokens must be at most 4000")
        return Reply(body=servers.chat("", finish_reason="length"))

    for first, asked in ((4000, [4000, 16000, 4000]), (4001, [4001, 4000, 4000])):
        with serving(respond) as server:
            llm = at(server)
            for _ in range(2):
                with pytest.raises(TruncatedError):
                    llm.complete(replace(REQUEST, max_tokens=first))
        assert limits(server) == asked


def test_the_whole_configurations_of_a_cut_answer_are_used() -> None:
    text = '{"configs": [{"x": 0.1}, {"x": 0.4}, {"x": 0.7}, {"x": 0.'
    with serving(always(Reply(body=servers.chat(text, finish_reason="length")))) as server:
        llm = at(server)
        answer = ask(llm, QUESTION, timeout=30.0)
        assert [config.params["x"] for config in answer.advice.configs] == [0.1, 0.4, 0.7]
        ask(llm, QUESTION, timeout=30.0)
    low, high = limits(server)
    assert low < high  # so that the next answer need not be cut


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal",
    [
        servers.error(400, "System role not supported"),
        servers.error(500, "Jinja Exception: System role not supported"),
        servers.error(400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        servers.error(
            400,
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            param="messages[0].role",
        ),
        servers.error(400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    ],
)
def test_where_there_is_no_system_role_the_user_says_it(refusal: Reply) -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        roles = [message["role"] for message in received.body["messages"]]
        return refusal if "system" in roles else servers.good(received, handler)

    with serving(respond) as server:
        llm = OpenAI(base_url=server.url, model="m")
        llm.complete(REQUEST)
        llm.complete(REQUEST)
    folded = [{"role": "user", "content": "You tune.\n\nTune x."}]
    assert [body["messages"] for body in server.bodies[1:]] == [folded, folded]
    first, second = server.bodies[:2]
    del first["messages"], second["messages"]
    assert first == second


@pytest.mark.parametrize(
    "words",
    [
        "The last message must be the user's.",
        "Expected last role User or Tool (or Assistant with prefix True) but got assistant",
        "This model does not support assistant message prefill. The conversation must end with a "
        "user message.",
        "Assistant response prefill is incompatible with enable_thinking.",
    ],
)
def test_where_no_answer_can_be_begun_the_beginning_is_left_out(words: str) -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        if received.body["messages"][-1]["role"] == "assistant":
            return servers.error(400, words)
        return servers.good(received, handler)

    with serving(respond, lambda body: "Sure:\n```python\nparams = dict(x=0.5)\n```") as server:
        llm = at(server, style="code")
        first = ask(llm, QUESTION, timeout=30.0, max_requests=1)
        asked = len(server.bodies)
        ask(llm, QUESTION, timeout=30.0, max_requests=1)
    assert {"x": 0.5} in [config.params for config in first.advice.configs]
    assert [body["messages"][-1]["role"] for body in server.bodies].count("assistant") == 1
    assert "continue_final_message" not in server.bodies[1]
    assert len(server.bodies) == 2 * asked - 1


# --- what the user is told --------------------------------------------------------------------


def test_an_answer_among_the_reasoning_is_taken_and_reasoning_alone_is_named() -> None:
    body = servers.chat("")
    message = body["choices"][0]["message"]
    message["reasoning_content"] = servers.GOOD
    with serving(always(Reply(body=body))) as server:
        assert at(server).complete(REQUEST).texts == (servers.GOOD,)
    message["reasoning_content"] = "I think that x is 0.5."
    error = failure_of(Reply(body=body))
    assert isinstance(error, UnusableAnswerError)
    assert "only reasoning" in str(error)
    assert "reasoning off" in error.hint


RAW = json.dumps({"error": {"message": "GPU on fire", "code": 502}})


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": RAW}}},
        {"choices": [{"finish_reason": "error", "error": {"message": "GPU on fire"}}]},
        {"choices": [{"message": {"content": ""}, "error": {"code": 502, "message": RAW}}]},
        {"object": "error", "message": "GPU on fire", "code": 500},
        {"detail": "GPU on fire"},
        {"success": False, "errors": [{"message": "GPU on fire"}]},
        {"error": "GPU on fire"},
    ],
)
def test_an_error_in_an_answer_is_told(body: dict[str, Any]) -> None:
    error = failure_of(Reply(body=body))
    assert isinstance(error, ServerError)
    assert "GPU on fire" in str(error)


def test_what_a_provider_behind_the_endpoint_says_is_told() -> None:
    metadata = {"raw": json.dumps({"error": {"message": "Slow down"}}), "provider_name": "p"}
    body: dict[str, Any] = {
        "error": {"message": "Provider returned error", "code": 429, "metadata": metadata}
    }
    for reply in (Reply(body=body), Reply(429, body)):
        error = failure_of(reply)
        assert isinstance(error, RateLimitError)
        assert "Provider returned error: Slow down" in str(error)


def test_a_thought_that_never_ends_may_hold_the_answer() -> None:
    text = '<think>Perhaps {"configs": [{"x": 0.9}]}. No: {"configs": [{"x": 0.2}]}'
    with serving(always(Reply(body=servers.chat(text)))) as server:
        answer = ask(at(server), QUESTION, timeout=30.0)
    assert [config.params["x"] for config in answer.advice.configs] == [0.2]


PAGE = "<!DOCTYPE html><html><head><title>Access\n Denied</title></head><body>No.</body></html>"


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_page_of_a_proxy_is_no_matter_of_the_key(status: int) -> None:
    error = failure_of(Reply(status, PAGE, {"content-type": "text/html"}))
    assert isinstance(error, ConnectionFailedError)
    assert error.retryable
    assert error.local
    assert "proxy or gateway" in str(error)
    assert '"Access Denied"' in str(error)
    assert "OPENAI_API_KEY" not in error.hint
    assert "NO_PROXY" in error.hint


def test_what_is_forbidden_is_not_for_want_of_a_key() -> None:
    error = failure_of(servers.error(403, "Country not supported"))
    assert isinstance(error, AuthenticationError)
    assert "Country not supported" in str(error)
    assert "OPENAI_API_KEY" not in error.hint


@pytest.mark.parametrize(("status", "hint"), [(402, "credit"), (413, "larger context")])
def test_the_hint_is_of_the_cause(status: int, hint: str) -> None:
    assert hint in failure_of(servers.error(status, "No.")).hint


def test_a_page_in_place_of_an_answer_is_named() -> None:
    for status in (200, 502):
        error = failure_of(Reply(status, PAGE, {"content-type": "text/html"}))
        assert "web page" in str(error)
        assert '"Access Denied"' in str(error)


def test_a_study_goes_on_and_its_log_has_the_cause(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    try:
        with serving(always(Reply(403, PAGE))) as server, caplog.at_level(logging.WARNING):
            study = optuna.create_study(sampler=LLMSampler(at(server), search_space=SPACE))
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    finally:
        optuna.logging.disable_propagation()
    assert len(study.trials) == 2
    assert "proxy or gateway answered 403" in caplog.text
    assert "OPENAI_API_KEY" not in caplog.text


def test_the_doctor_says_the_cause(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(always(Reply(403, PAGE))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["doctor", "--llm", "openai/m", "--timeout", "20"]) != 0
    out = capsys.readouterr().out
    assert 'a proxy or gateway answered 403 with a web page ("Access Denied")' in out
    assert "NO_PROXY" in out
    assert "OPENAI_API_KEY" not in out.split("model: ")[1]


def test_a_study_uses_a_model_after_one_adaptation() -> None:
    def respond(received: Received, handler: Handler) -> Reply:
        if received.body["messages"][0]["role"] == "system":
            return servers.error(400, "System role not supported")
        return servers.good(received, handler)

    with serving(respond) as server:
        study = optuna.create_study(sampler=LLMSampler(at(server), search_space=SPACE))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    # The next question may be on its way when the study ends.
    refused, *taken = [body["messages"][0]["role"] for body in server.bodies]
    assert refused == "system"
    assert set(taken) == {"user"}
    assert study.trials[0].params == {"x": 0.5}
