from __future__ import annotations

from collections.abc import Iterator
import copy
from dataclasses import replace
import json
import pickle
import signal
import threading
import time
import traceback
from typing import Any

import httpx2
import openai
import pytest

from optuna_llm_sampler import AzureOpenAI, OpenAI
from optuna_llm_sampler.errors import (
    AuthenticationError,
    BadRequestError,
    CallTimeoutError,
    ConnectionFailedError,
    LLMError,
    ModelNotFoundError,
    OptunaLLMError,
    RateLimitError,
    RefusalError,
    ServerError,
)
from optuna_llm_sampler.llms import JSON, LLM, Message, Request, TokenUsage
from optuna_llm_sampler.llms.openai import errors as _openai_errors
from optuna_llm_sampler.llms.openai.profile import is_own_endpoint

from ..support import servers
from ..support.servers import (
    answering_server,
    Body,
    misbehaving_server,
    Received,
    Reply,
    Server,
    serving,
)


KEY = "my-very.secret+key/0123456789"
SCHEMA = {
    "type": "object",
    "properties": {"configs": {"type": "array", "items": {"type": "object"}}},
    "required": ["configs"],
    "additionalProperties": False,
}
REQUEST = Request(
    messages=(
        Message(role="system", content="You tune."),
        Message(role="user", content="Tune x."),
    ),
    schema=SCHEMA,
    max_tokens=77,
    temperature=0.8,
    seed=5,
    timeout=20.0,
)
CODE = replace(
    REQUEST,
    messages=(*REQUEST.messages, Message(role="assistant", content="params = dict(")),
    schema=None,
    stop=(")",),
    n=3,
)

_ENVIRONMENT = (
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_VERSION",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "AZURE_OPENAI_ENDPOINT",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nobody's key but the test's own."""
    for name in _ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return monkeypatch


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """The SDK's modules are there before a deadline runs."""
    with answering_server() as server:
        for chat in (True, False):
            at(server, use_chat_completions_api=chat).complete(REQUEST)


@pytest.fixture
def server() -> Iterator[Server]:
    with answering_server() as server:
        yield server


# One for all, because each new one reads the certificates of the whole world for 0.1 s.
HTTP = openai.DefaultHttpxClient(limits=httpx2.Limits(max_keepalive_connections=0))


def client_of(server: Server, **kwargs: Any) -> openai.OpenAI:
    kwargs = {"api_key": KEY, "base_url": server.url, "http_client": HTTP, **kwargs}
    return openai.OpenAI(**kwargs)


def at(server: Server, **kwargs: Any) -> OpenAI:
    return OpenAI(client_of(server), model="m", **kwargs)


def failure_of(llm: LLM, request: Request = REQUEST) -> OptunaLLMError:
    with pytest.raises(OptunaLLMError) as caught:
        llm.complete(request)
    return caught.value


# ------------------------------------------------------------------------------------------------
# What is sent and what comes back.


@pytest.mark.parametrize("chat", [True, False])
def test_both_apis_give_text_and_usage(server: Server, chat: bool) -> None:
    llm = at(server, use_chat_completions_api=chat)
    completion = llm.complete(REQUEST)
    assert completion.texts == (servers.GOOD,)
    assert completion.usage == TokenUsage(input_tokens=100, output_tokens=20, cached_tokens=64)
    assert completion.model == servers.MODEL
    assert completion.finish_reason == "stop"
    assert server.paths == ["/v1/chat/completions" if chat else "/v1/responses"]


def test_body_of_chat_completions(server: Server) -> None:
    at(server).complete(REQUEST)
    assert server.bodies == [
        {
            "model": "m",
            "messages": list(REQUEST.messages),
            "temperature": 0.8,
            "seed": 5,
            "max_tokens": 77,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
            },
        }
    ]


def test_body_of_responses(server: Server) -> None:
    at(server, use_chat_completions_api=False).complete(REQUEST)
    assert server.bodies == [
        {
            "model": "m",
            "input": list(REQUEST.messages),
            "store": False,
            "temperature": 0.8,
            "max_output_tokens": 77,
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "answer",
                    "strict": True,
                    "schema": SCHEMA,
                }
            },
        }
    ]


def test_code_style_passes_prefill_stop_and_n() -> None:
    with answering_server(lambda body: "lr=1e-3)\nprint(") as server:
        llm = at(server, style="code")
        completion = llm.complete(CODE)
    (body,) = server.bodies
    assert body["messages"][-1] == {"role": "assistant", "content": "params = dict("}
    assert body["stop"] == [")"]
    assert body["n"] == 3
    assert "response_format" not in body
    assert completion.texts == ("lr=1e-3",) * 3
    assert str(llm.style) == "code"


@pytest.mark.parametrize("chat", [True, False])
def test_a_repeated_beginning_is_taken_away(chat: bool) -> None:
    with answering_server(lambda body: "\nparams = dict(lr=1e-3)") as server:
        llm = at(server, use_chat_completions_api=chat)
        assert set(llm.complete(CODE).texts) == {"lr=1e-3"}
    assert len(server.bodies) == 1  # Responses has no `n`: one call, one answer.


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": servers.GOOD}]
    body = servers.chat("") | {"choices": [{"message": {"content": parts}}]}
    with serving(lambda received, handler: Reply(body=body)) as server:
        assert at(server).complete(REQUEST).texts == (servers.GOOD,)


def test_commentary_is_not_the_answer() -> None:
    body = servers.responses(servers.GOOD)
    final = body["output"][1] | {"phase": "final_answer"}
    aside = {"type": "message", "phase": "commentary", "content": [{"text": "Let me think."}]}
    body["output"] = [aside, final]
    with serving(lambda received, handler: Reply(body=body)) as server:
        llm = at(server, use_chat_completions_api=False)
        assert llm.complete(REQUEST).texts == (servers.GOOD,)


def test_usable_choices_are_kept() -> None:
    body = servers.chat("", servers.GOOD, servers.GOOD[:9], finish_reason="length")
    with serving(lambda received, handler: Reply(body=body)) as server:
        completion = at(server).complete(replace(REQUEST, n=3))
    assert completion.texts == (servers.GOOD,)
    assert completion.finish_reason == "length"


def test_missing_usage_and_model() -> None:
    with misbehaving_server("no_usage") as server:
        completion = at(server).complete(REQUEST)
    assert completion.usage == TokenUsage()
    assert completion.model == "m"


def test_usage_that_is_no_number() -> None:
    body = servers.chat("x") | {"usage": {"prompt_tokens": "7", "completion_tokens": -1}}
    with serving(lambda received, handler: Reply(body=body)) as server:
        llm = at(server)
        assert llm.complete(REQUEST).usage == TokenUsage()


# ------------------------------------------------------------------------------------------------
# Every way to misbehave.


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("name", servers.BEHAVIOURS)
def test_behaviour(name: str, chat: bool) -> None:
    reason = servers.BEHAVIOURS[name].reason
    request = replace(REQUEST, timeout=0.5) if reason == "timeout" else replace(REQUEST, n=2)
    with misbehaving_server(name) as server:
        llm = at(server, use_chat_completions_api=chat, max_retries=0)
        if name == "no_responses_api" and not chat:
            reason = "model_not_found"  # Responses and nothing else was asked for.
        start = time.monotonic()
        if reason is None:
            assert llm.complete(request).texts
        else:
            error = failure_of(llm, request)
            assert isinstance(error, LLMError)
            assert error.reason == reason
            assert error.hint
            assert KEY not in "".join(traceback.format_exception(error))
            assert KEY not in repr(error.__dict__)
            assert error.__cause__ is None
            assert error.__context__ is None
        assert time.monotonic() - start < 5


def test_exceptions_without_a_status_are_mapped() -> None:
    request = httpx2.Request("POST", "http://host/v1/responses")
    for exc, expected in (
        (openai.APITimeoutError(request), CallTimeoutError),
        (openai.APIConnectionError(request=request), ConnectionFailedError),
        (openai.APIError("words", request, body=None), LLMError),
        (openai.OpenAIError("words"), LLMError),
    ):
        failure = _openai_errors.failure_from(exc, asked="openai/m")
        assert type(failure.error) is expected


def test_every_status_is_mapped() -> None:
    request = httpx2.Request("POST", "http://host/v1/responses")
    for status in range(400, 600):
        response = httpx2.Response(status, request=request)
        exc = openai.APIStatusError("words", response=response, body=None)
        failure = _openai_errors.failure_from(exc, asked="openai/m")
        assert type(failure.error) is _openai_errors.class_for_status(status) is not LLMError
        assert failure.status == status


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"code": "model_not_found", "message": "no such model"}, ModelNotFoundError),
        (400, {"message": "API key not valid. Please pass a valid API key."}, AuthenticationError),
        (400, {"code": "content_filter", "message": "filtered"}, RefusalError),
        (402, {"message": "Insufficient balance"}, RateLimitError),
        (409, {}, ServerError),
        (418, None, BadRequestError),
    ],
)
def test_the_body_can_say_more_than_the_status(
    status: int, body: object, expected: type[LLMError]
) -> None:
    with serving(lambda received, handler: Reply(status, {"error": body})) as server:
        llm = at(server, max_retries=0)
        assert type(failure_of(llm, replace(REQUEST, schema=None))) is expected


# ------------------------------------------------------------------------------------------------
# What an endpoint can do is found out once.


@pytest.mark.parametrize("chat", [True, False])
def test_the_ladder_is_walked_once(chat: bool) -> None:
    with misbehaving_server("no_json_at_all") as server:
        llm = at(server, use_chat_completions_api=chat)
        llm.complete(REQUEST)
        llm.complete(REQUEST)
        llm = pickle.loads(pickle.dumps(llm))
        llm.complete(REQUEST)
    forms = [body.get("response_format", body.get("text")) for body in server.bodies]
    plain: Body = {"type": "json_object"}
    assert forms[1:] == [plain if chat else {"format": plain}, None, None, None]
    questions = [body["messages" if chat else "input"][-1] for body in server.bodies]
    compact = json.dumps(SCHEMA, separators=(",", ":"))
    assert questions[0] == REQUEST.messages[-1]
    for question in questions[1:]:
        assert question["role"] == "user"
        assert question["content"].startswith("Tune x.")
        assert question["content"].endswith(compact)


def test_json_mode_is_the_middle_rung() -> None:
    with misbehaving_server("no_json_schema") as server:
        llm = at(server)
        llm.complete(REQUEST)
        llm.complete(REQUEST)
    types = [body["response_format"]["type"] for body in server.bodies]
    assert types == ["json_schema", "json_object", "json_object"]


def test_a_server_that_ignores_the_form_is_told_the_schema_the_next_time() -> None:
    with misbehaving_server("lecture") as server:
        llm = at(server)
        for _ in range(4):
            llm.complete(REQUEST)
    forms = [body.get("response_format", {}).get("type") for body in server.bodies]
    assert forms == ["json_schema", "json_object", None, None]


def test_nothing_is_learned_from_a_request_that_is_refused_in_every_form() -> None:
    with misbehaving_server("bad_request") as server:
        llm = at(server)
        failure_of(llm)
        failure_of(llm)
    assert len(server.bodies) == 6
    assert server.bodies[:3] == server.bodies[3:]


@pytest.mark.parametrize("name", ["too_long", "unauthorized", "model_not_found", "out_of_quota"])
@pytest.mark.parametrize("chat", [True, False, None])
def test_a_final_refusal_is_asked_about_once(name: str, chat: bool | None) -> None:
    with misbehaving_server(name) as server:
        failure_of(at(server, use_chat_completions_api=chat))
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("parameter", "refusal"),
    [
        ("temperature", servers.error(400, "Unsupported value", param="temperature")),
        ("temperature", servers.error(400, "Only the default temperature is supported.")),
        ("seed", servers.error(400, "Unknown field `seed`.")),
        ("seed", Reply(422, {"detail": [{"loc": ["body", "seed"], "msg": "extra"}]})),
        ("seed", Reply(422, {"message": {"detail": [{"loc": ["body", "seed"], "input": 5}]}})),
        ("n", servers.error(400, "n_cmpl cannot be greater than the number of slots")),
        ("n", servers.error(400, "'n' : number must be at most 1")),
        ("stop", servers.error(400, "stop is not supported by this model", param="stop")),
    ],
)
def test_a_refused_parameter_is_left_out_from_then_on(parameter: str, refusal: Reply) -> None:
    def respond(received: Received, handler: servers.Handler) -> Reply:
        return refusal if parameter in received.body else servers.good(received, handler)

    request = replace(REQUEST, n=4, stop=("\n\n",))
    with serving(respond) as server:
        llm = at(server)
        llm.complete(request)
        llm.complete(request)
    assert [parameter in body for body in server.bodies] == [True, False, False]
    first, second, third = server.bodies
    assert {k: v for k, v in first.items() if k != parameter} == second == third


def test_n_is_dropped_when_a_refusal_says_nothing() -> None:
    def respond(received: Received, handler: servers.Handler) -> Reply:
        bad = "n" in received.body
        return servers.error(400, "No.") if bad else servers.good(received, handler)

    with serving(respond) as server:
        assert len(at(server).complete(CODE).texts) == 1
    assert len(server.bodies) == 2


def test_the_token_limit_has_two_names() -> None:
    with misbehaving_server("no_max_tokens") as server:
        llm = at(server)
        llm.complete(REQUEST)
        llm.complete(REQUEST)
    limits = [{k: v for k, v in body.items() if k.startswith("max_")} for body in server.bodies]
    new: Body = {"max_completion_tokens": 77}
    assert limits == [{"max_tokens": 77}, new, new]


def test_a_limit_that_is_refused_by_both_names_is_left_out() -> None:
    def respond(received: Received, handler: servers.Handler) -> Reply:
        if any(name.startswith("max_") for name in received.body):
            return servers.error(400, "max_tokens is too large: 77.", param="max_tokens")
        return servers.good(received, handler)

    with serving(respond) as server:
        at(server).complete(REQUEST)
    assert len(server.bodies) == 3


def test_several_dislikes_are_all_found_out() -> None:
    disliked = ("temperature", "seed", "max_tokens", "response_format")

    def respond(received: Received, handler: servers.Handler) -> Reply:
        bad = next((name for name in disliked if name in received.body), None)
        return servers.error(400, f"{bad}?") if bad else servers.good(received, handler)

    with serving(respond) as server:
        llm = at(server)
        llm.complete(REQUEST)
        llm.complete(REQUEST)
    assert len(server.bodies) == 7
    assert set(server.bodies[-1]) == {"model", "messages", "max_completion_tokens"}


def test_threads_learn_together() -> None:
    with misbehaving_server("no_json_at_all") as server:
        llm = at(server)
        threads = [threading.Thread(target=llm.complete, args=(REQUEST,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        walked = len(server.bodies)
        llm.complete(REQUEST)
    assert walked <= 12
    assert len(server.bodies) == walked + 1


def test_where_there_is_no_responses_api_chat_completions_is_remembered() -> None:
    with misbehaving_server("no_responses_api") as server:
        client = _azure_client(server)
        llm = AzureOpenAI(client, model="m")
        llm.complete(REQUEST)
        llm.complete(REQUEST)
    assert [path.rpartition("/")[2] for path in server.paths] == [
        "responses",
        "completions",
        "completions",
    ]


def test_an_azure_too_old_for_responses() -> None:
    def respond(received: Received, handler: servers.Handler) -> Reply:
        if received.path.endswith("/responses"):
            return servers.error(400, "Azure OpenAI Responses API is enabled only for newer ones")
        return servers.good(received, handler)

    with serving(respond) as server:
        AzureOpenAI(_azure_client(server), model="m").complete(REQUEST)
    assert len(server.paths) == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1/", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://mine.openai.azure.com/openai/v1/", True),
        ("https://api.openai.com.evil.org/v1", False),
        ("http://localhost:8080/v1", False),
        ("https://openrouter.ai/api/v1", False),
    ],
)
def test_which_endpoints_are_openais_own(url: str, expected: bool) -> None:
    assert is_own_endpoint(url) is expected


# ------------------------------------------------------------------------------------------------
# Time.


def test_a_passing_failure_is_tried_again() -> None:
    busy = servers.error(429, "Slow down", headers={"retry-after-ms": "10"})
    with serving(servers.failing_first(busy, 2)) as server:
        at(server).complete(REQUEST)
    assert len(server.bodies) == 3


def test_max_retries() -> None:
    with misbehaving_server("rate_limited") as server:
        failure_of(at(server, max_retries=1))
        failure_of(OpenAI(client_of(server, max_retries=0), model="m"))
    assert len(server.bodies) == 2 + 1


def test_a_wait_beyond_the_deadline_is_not_waited_for() -> None:
    busy = servers.error(429, "Slow down", headers={"retry-after": "90"})
    with serving(lambda received, handler: busy) as server:
        start = time.monotonic()
        error = failure_of(at(server))
        assert time.monotonic() - start < 5
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 90
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert _openai_errors.retry_after(headers) == expected


def test_the_deadline_is_for_all_attempts_together() -> None:
    slow_failure = Reply(503, None, {"retry-after-ms": "1"}, delay=0.3)
    with serving(lambda received, handler: slow_failure) as server:
        start = time.monotonic()
        failure_of(at(server, max_retries=50), replace(REQUEST, timeout=0.8))
        assert time.monotonic() - start < 2.5
    assert 1 < len(server.bodies) < 5


def test_an_interrupt_does_not_wait_for_the_server() -> None:
    me = threading.get_ident()
    with misbehaving_server("slow") as server:
        llm = at(server)
        alarm = threading.Timer(0.2, signal.pthread_kill, (me, signal.SIGINT))
        alarm.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            llm.complete(REQUEST)
        assert time.monotonic() - start < 5
        alarm.join()


def test_a_host_that_does_not_take_the_connection_is_not_a_slow_one() -> None:
    exc = openai.APITimeoutError(request=httpx2.Request("POST", "http://host"))
    assert type(_openai_errors.failure_from(exc, asked="x").error) is CallTimeoutError
    exc.__cause__ = httpx2.ConnectTimeout("timed out")
    assert type(_openai_errors.failure_from(exc, asked="x").error) is ConnectionFailedError


# ------------------------------------------------------------------------------------------------
# Keys.


def test_no_key_at_all_is_found_out_at_the_call() -> None:
    error = failure_of(OpenAI(model="gpt-5-mini"))
    assert isinstance(error, AuthenticationError)
    assert "OPENAI_API_KEY" in error.hint
    error = failure_of(OpenAI(model="gpt-5-mini", base_url="https://api.openai.com/v1"))
    assert isinstance(error, AuthenticationError)


def test_a_local_server_needs_no_key(server: Server, environment: pytest.MonkeyPatch) -> None:
    OpenAI(base_url=server.url, model="m").complete(REQUEST)
    environment.setenv("OPENAI_BASE_URL", server.url)
    OpenAI(model="m").complete(REQUEST)
    assert [r.headers["authorization"] for r in server.received] == ["Bearer none"] * 2
    assert server.received[0].headers["connection"] == "close"


def test_the_key_comes_from_the_environment(
    server: Server, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OPENAI_API_KEY", f" {KEY}\n")
    llm = OpenAI(base_url=server.url, model="m")
    llm.complete(REQUEST)
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(llm)
    assert KEY.encode() not in pickle.dumps(llm)


def test_a_key_that_is_no_header_is_not_shown(server: Server) -> None:
    for key in (f"{KEY}\ninjected: yes", f"{KEY}é"):
        client = client_of(server, api_key=key, max_retries=0)
        error = failure_of(OpenAI(client, model="m"))
        assert KEY not in str(error)
    assert not server.received


def test_a_key_from_a_function_is_not_shown() -> None:
    with misbehaving_server("unauthorized") as server:
        client = client_of(server, api_key=lambda: KEY)
        assert "***" in str(failure_of(OpenAI(client, model="m")))


def test_redaction() -> None:
    text = "key sk-proj-ab*****xyz at http://me:pw@host/v1, AIzaSyD-12345678, hf_abcdefgh; task-1"
    assert _openai_errors.redacted(text, ()) == "key *** at http://***@host/v1, ***, ***; task-1"


def test_an_injected_client_is_left_behind_by_pickle(server: Server) -> None:
    llm = OpenAI(client_of(server), model="m")
    llm.complete(REQUEST)
    data = pickle.dumps(llm)
    assert KEY.encode() not in data
    assert KEY not in repr(llm)
    again = pickle.loads(data)
    assert repr(again) == repr(llm)
    again.complete(REQUEST)
    assert server.received[1].headers["authorization"] == "Bearer none"


def test_a_password_in_an_address_is_not_kept(server: Server) -> None:
    url = server.url.replace("://", "://me:password@")
    llm = OpenAI(base_url=url, model="m")
    llm.complete(REQUEST)
    assert "authorization" in server.received[0].headers
    assert repr(llm) == f"OpenAI(model='m', base_url='{server.url}')"
    assert b"password" not in pickle.dumps(llm)


def test_an_address_from_the_environment_is_not_kept(
    server: Server, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    llm = OpenAI(model="m", max_retries=0)
    assert isinstance(failure_of(llm), ConnectionFailedError)
    environment.setenv("OPENAI_BASE_URL", server.url)
    assert pickle.loads(pickle.dumps(llm)).complete(REQUEST).texts


def test_a_copy_in_this_process_is_the_same(server: Server) -> None:
    llm = OpenAI(client_of(server), model="m")
    assert copy.deepcopy({"llm": llm})["llm"] is llm
    assert copy.copy(llm) is llm


# ------------------------------------------------------------------------------------------------
# Construction.


@pytest.mark.parametrize("cls", [OpenAI, AzureOpenAI])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""),
        ("model", None),
        ("client", object()),
        ("client", "sk-secret"),
        ("client", openai.AsyncOpenAI(api_key="x")),
        ("style", "xml"),
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("use_chat_completions_api", "no"),
    ],
)
def test_wrong_arguments(cls: Any, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        cls(**{"model": "m", name: value})
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://host", "http://", "http://[", "http://h?key=1", 5]
)
def test_wrong_base_url(url: Any) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAI(model="m", base_url=url)


def test_arguments_that_exclude_each_other(server: Server) -> None:
    with pytest.raises(ValueError, match="base_url .* client"):
        OpenAI(client_of(server), model="m", base_url=server.url)
    with pytest.raises(ValueError, match="client must be an openai.AzureOpenAI"):
        AzureOpenAI(client_of(server), model="m")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="client must be an openai.OpenAI"):
        OpenAI(_azure_client(server), model="m")


def test_names_and_protocol() -> None:
    assert OpenAI(model="gpt-5-mini").name == "openai/gpt-5-mini"
    assert AzureOpenAI(model="my-deployment").name == "azure/my-deployment"
    assert isinstance(OpenAI(model="m"), LLM)
    assert OpenAI(model="m").style == JSON


# ------------------------------------------------------------------------------------------------
# Azure.


def _azure_client(server: Server) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        api_key=KEY, azure_endpoint=server.url, api_version="2025-04-01", http_client=HTTP
    )


def test_azure_with_a_client(server: Server, environment: pytest.MonkeyPatch) -> None:
    llm = AzureOpenAI(_azure_client(server), model="deployed")
    llm.complete(REQUEST)
    assert server.paths == ["/v1/openai/responses"]
    assert server.bodies[0]["model"] == "deployed"
    data = pickle.dumps(llm)
    assert KEY.encode() not in data
    environment.setenv("AZURE_OPENAI_API_KEY", "another-key")
    pickle.loads(data).complete(REQUEST)
    assert server.paths == ["/v1/openai/responses"] * 2
    assert [r.headers["api-key"] for r in server.received] == [KEY, "another-key"]


def test_azure_from_the_environment(server: Server, environment: pytest.MonkeyPatch) -> None:
    llm = AzureOpenAI(model="deployed", use_chat_completions_api=True)
    error = failure_of(llm)
    assert isinstance(error, AuthenticationError)
    assert "AZURE_OPENAI_API_KEY" in error.hint
    environment.setenv("AZURE_OPENAI_API_KEY", KEY)
    assert "OPENAI_API_VERSION" in failure_of(llm).hint
    environment.setenv("OPENAI_API_VERSION", "2025-04-01")
    assert "AZURE_OPENAI_ENDPOINT" in failure_of(llm).hint
    environment.setenv("AZURE_OPENAI_ENDPOINT", server.url)
    llm.complete(REQUEST)
    assert server.paths == ["/v1/openai/deployments/deployed/chat/completions"]
    assert "max_completion_tokens" in server.bodies[0]
    assert KEY not in repr(llm)
    assert KEY.encode() not in pickle.dumps(llm)


def test_azure_shows_no_key() -> None:
    with misbehaving_server("unauthorized") as server:
        error = failure_of(AzureOpenAI(_azure_client(server), model="m"))
    assert isinstance(error, AuthenticationError)
    assert KEY not in str(error)
