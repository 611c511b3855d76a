"""Every provider of the table, replayed: its shape of answers, its errors, its peculiarities.

The replies have the form that the providers document, or that their users have put into issues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
import json
import logging
import pickle
import traceback
from typing import Any, cast

import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.errors import (
    AuthenticationError,
    ModelNotFoundError,
    OptunaLLMError,
    RateLimitError,
)
from optuna_llm_sampler.llms import LLM, Request, TokenUsage
from optuna_llm_sampler.llms.openai.client import ProviderLLM
from optuna_llm_sampler.llms.openai.errors import retry_after
from optuna_llm_sampler.llms.providers import EXTRAS, Provider, provider_at, PROVIDERS
from optuna_llm_sampler.llms.registry import resolve

from ..support.servers import Body, error, GOOD, Handler, Received, Reply, Server, serving


KEY = "my-very.secret+key/0123456789"
REQUEST = Request(
    messages=(
        {"role": "system", "content": "You tune."},
        {"role": "user", "content": "Tune x."},
    ),
    schema={"type": "object", "properties": {"configs": {"type": "array"}}},
    stop=("END",),
    n=2,
    max_tokens=4000,
    temperature=0.8,
    seed=5,
    timeout=10.0,
)


def answer(text: str = GOOD, *, total: int = 120, **more: Any) -> Body:
    """The body of an answer, with 100 tokens in and 20 that can be seen."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": total}
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    return {
        "object": "chat.completion",
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {**usage, **more.pop("usage", {})},
        **more,
    }


def nowhere(body: Body) -> bool:
    return False


def asks_for(form: str) -> Callable[[Body], bool]:
    return lambda body: (body.get("response_format") or {}).get("type") == form


def has(*names: str) -> Callable[[Body], bool]:
    return lambda body: any(name in body for name in names)


@dataclass(frozen=True)
class Case:
    """How one provider answers.

    Attributes:
        good:
            The body of an answer.
        usage:
            What is counted of it.
        never:
            What it refuses, and must not be sent even once.
        wrong_key, unknown_model, rate_limit:
            Its errors; the last is :obj:`None` where nobody is limited.
        wait:
            Seconds that are read from the rate limit's error.
        refuses, refusal:
            What some of its models refuse, and the words.
    """

    good: Body = field(default_factory=answer)
    usage: TokenUsage = TokenUsage(100, 20)
    never: Callable[[Body], bool] = nowhere
    wrong_key: Reply | None = None
    unknown_model: Reply = field(default_factory=Reply)
    rate_limit: Reply | None = None
    wait: float | None = None
    refuses: Callable[[Body], bool] = nowhere
    refusal: Reply = field(default_factory=Reply)


def google(code: int, message: str, **more: Any) -> Reply:
    """Gemini's errors come in a list."""
    return Reply(code, [{"error": {"code": code, "message": message, **more}}])


def anthropic(status: int, kind: str, message: str, **headers: str) -> Reply:
    body = {"error": {"type": kind, "message": message, "code": None, "param": None}}
    return Reply(status, body, {name.replace("_", "-"): v for name, v in headers.items()})


CASES = {
    "anthropic": Case(
        never=has("n", "seed", "response_format", *EXTRAS),
        wrong_key=anthropic(401, "authentication_error", "invalid x-api-key"),
        unknown_model=anthropic(404, "not_found_error", "model: m"),
        rate_limit=anthropic(
            429, "rate_limit_error", "This request would exceed the limit.", retry_after="17"
        ),
        wait=17.0,
        refuses=has("temperature"),
        refusal=anthropic(
            400, "invalid_request_error", "`temperature` is deprecated for this model."
        ),
    ),
    "gemini": Case(
        good=answer(total=520),
        usage=TokenUsage(100, 420),
        never=has("n", "seed", *EXTRAS),
        wrong_key=google(
            400, "API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"
        ),
        unknown_model=google(
            404, "models/m is not found for API version v1main", status="NOT_FOUND"
        ),
        rate_limit=google(
            429,
            "You exceeded your current quota.",
            status="RESOURCE_EXHAUSTED",
            details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}],
        ),
        wait=17.0,
        refuses=asks_for("json_schema"),
        refusal=google(400, "The specified schema produces a constraint with too many states."),
    ),
    "mistral": Case(
        good=answer(
            message={
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": GOOD},
                ]
            }
        ),
        never=has("seed", "max_completion_tokens", *EXTRAS),
        wrong_key=Reply(401, {"detail": "Unauthorized"}),
        unknown_model=Reply(
            400,
            {
                "object": "error",
                "message": "Invalid model: m",
                "type": "invalid_model",
                "param": None,
                "code": "1500",
            },
        ),
        rate_limit=Reply(
            429,
            {
                "object": "error",
                "message": "Rate limit exceeded",
                "type": "rate_limited",
                "code": "1300",
            },
        ),
        refuses=has("n"),
        refusal=Reply(
            422,
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "n"],
                        "msg": "Extra inputs are not permitted",
                        "input": 2,
                    }
                ]
            },
        ),
    ),
    "groq": Case(
        good=answer(x_groq={"id": "req_1"}, usage={"queue_time": 0.1}),
        never=has("n", *EXTRAS),
        wrong_key=error(401, "Invalid API Key", code="invalid_api_key"),
        unknown_model=error(
            404,
            "The model `m` does not exist or you do not have access to it.",
            code="model_not_found",
        ),
        rate_limit=error(
            429,
            "Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, Used 5034, "
            "Requested 1443. Please try again in 1m2.5s.",
            code="rate_limit_exceeded",
        ),
        wait=62.5,
        refuses=asks_for("json_schema"),
        refusal=error(
            400,
            "This model does not support response format `json_schema`.",
            param="response_format",
        ),
    ),
    "deepseek": Case(
        good=answer(
            message={"reasoning_content": "Hm."},
            usage={"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
        ),
        usage=TokenUsage(100, 20, 64),
        never=lambda body: asks_for("json_schema")(body) or has("n", "seed", *EXTRAS)(body),
        wrong_key=error(401, f"Authentication Fails, Your api key: ****{KEY[-4:]} is invalid"),
        unknown_model=error(400, "Model Not Exist", code="invalid_request_error"),
        rate_limit=error(429, "Rate limit reached"),
        refuses=lambda body: body["max_tokens"] > 8192,
        refusal=error(400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
    ),
    "openrouter": Case(
        good=answer(provider="Venice", message={"reasoning": None}),
        never=has(*EXTRAS),
        wrong_key=Reply(401, {"error": {"message": "User not found.", "code": 401}}),
        unknown_model=Reply(400, {"error": {"message": "m is not a valid model ID", "code": 400}}),
        rate_limit=Reply(
            429,
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 429,
                    "metadata": {
                        "raw": "m is temporarily rate-limited upstream.",
                        "provider_name": "Venice",
                        "retry_after_seconds": 17,
                    },
                }
            },
        ),
        wait=17.0,
        refuses=asks_for("json_schema"),
        refusal=Reply(
            400,
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {"raw": '{"error": {"message": "json_schema is unavailable"}}'},
                }
            },
        ),
    ),
    "together": Case(
        never=has(*EXTRAS),
        wrong_key=error(401, "Invalid API key provided.", code="invalid_api_key"),
        unknown_model=error(
            400,
            "Unable to access non-serverless model m. Please create a dedicated endpoint.",
            code="model_not_available",
        ),
        rate_limit=error(429, "You have reached the rate limit specific to this model m."),
        refuses=asks_for("json_schema"),
        refusal=error(400, "response_format of type json_schema is not supported for model m"),
    ),
    "xai": Case(
        good=answer(total=520),
        usage=TokenUsage(100, 420),
        never=has(*EXTRAS),
        wrong_key=Reply(
            400,
            {
                "code": "Client specified an invalid argument",
                "error": f"Incorrect API key provided: {KEY[:2]}***{KEY[-2:]}.",
            },
        ),
        unknown_model=Reply(
            404,
            {
                "code": "Some requested entity was not found",
                "error": "The model m does not exist or your team does not have access to it.",
            },
        ),
        rate_limit=Reply(
            429, {"code": "Some resource has been exhausted", "error": "Too many requests"}
        ),
        refuses=has("stop"),
        refusal=Reply(
            400,
            {
                "code": "Client specified an invalid argument",
                "error": "Argument not supported on this model: stop",
            },
        ),
    ),
    "ollama": Case(
        never=has("n", *EXTRAS),
        unknown_model=error(404, 'model "m" not found, try pulling it first'),
        refuses=asks_for("json_schema"),
        refusal=error(400, "invalid JSON schema in format"),
    ),
    "lmstudio": Case(
        never=has("n", *EXTRAS),
        unknown_model=error(404, "Model m not found", code="model_not_found"),
        refuses=has("seed"),
        refusal=Reply(400, {"error": "Unrecognized key(s) in object: 'seed'"}),
    ),
    "vllm": Case(
        wrong_key=Reply(401, {"error": "Unauthorized"}),
        unknown_model=Reply(
            404,
            {
                "object": "error",
                "message": "The model `m` does not exist.",
                "type": "NotFoundError",
                "code": 404,
            },
        ),
        refuses=asks_for("json_schema"),
        refusal=Reply(
            400,
            {
                "object": "error",
                "message": "The provided JSON schema contains features",
                "code": 400,
            },
        ),
    ),
}

everyone = pytest.mark.parametrize("prefix", PROVIDERS)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nobody's key but the test's own."""
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key_variable, raising=False)
        monkeypatch.delenv(provider.url_variable or "NONE", raising=False)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPTUNA_LLM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return monkeypatch


def at(
    server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch, *, key: str = KEY
) -> ProviderLLM:
    """The model at a server that stands in for the provider."""
    row = replace(PROVIDERS[prefix], base_url=server.url)
    monkeypatch.setitem(cast("dict[str, Provider]", PROVIDERS), prefix, row)
    if key:
        monkeypatch.setenv(row.key_variable, key)
    llm = ProviderLLM(row, "m", max_retries=0)
    assert repr(llm) == f"ProviderLLM('{prefix}/m')"
    return llm


def always(reply: Reply) -> Callable[[Received, Handler], Reply]:
    return lambda received, handler: reply


def failure_of(llm: LLM) -> OptunaLLMError:
    with pytest.raises(OptunaLLMError) as caught:
        llm.complete(REQUEST)
    return caught.value


def test_every_provider_is_replayed() -> None:
    assert CASES.keys() == PROVIDERS.keys()


@everyone
def test_an_answer_and_what_is_sent_for_it(
    prefix: str, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case = CASES[prefix]

    def respond(received: Received, handler: Handler) -> Reply:
        assert not case.never(received.body), received.body
        return Reply(body=case.good)

    with serving(respond) as server, caplog.at_level(logging.DEBUG):
        at(server, prefix, environment)
        llm = resolve(f"{prefix}/m")[1]()
        completion = llm.complete(REQUEST)
        again = pickle.loads(pickle.dumps(llm))
        again.complete(REQUEST)
    assert completion.texts == (GOOD,)
    assert completion.usage == case.usage
    assert (llm.name, again.name) == (f"{prefix}/m", f"{prefix}/m")
    assert server.paths == ["/v1/chat/completions"] * 2
    for received in server.received:
        assert received.headers["authorization"] == f"Bearer {KEY}"
        assert "openai-organization" not in received.headers
    assert KEY not in repr(llm)
    assert KEY not in caplog.text
    assert KEY.encode() not in pickle.dumps(llm)


@pytest.mark.parametrize("prefix", [p for p, case in CASES.items() if case.wrong_key])
def test_a_wrong_key_is_named_but_not_shown(prefix: str, environment: pytest.MonkeyPatch) -> None:
    reply = CASES[prefix].wrong_key
    assert reply is not None
    with serving(always(reply)) as server:
        failure = failure_of(at(server, prefix, environment))
    assert isinstance(failure, AuthenticationError)
    assert PROVIDERS[prefix].key_variable in failure.hint
    said = "".join(traceback.format_exception(failure)) + repr(failure.__dict__)
    assert KEY not in said
    assert KEY[-4:] not in said
    assert f"{KEY[-2:]}." not in said
    assert len(server.bodies) == 1


@everyone
def test_a_missing_key_is_named_and_nothing_is_sent(
    prefix: str, environment: pytest.MonkeyPatch
) -> None:
    row = PROVIDERS[prefix]
    with serving(always(Reply(body=CASES[prefix].good))) as server:
        llm = at(server, prefix, environment, key="")
        if not row.needs_key:
            assert llm.complete(REQUEST).texts
            return
        failure = failure_of(llm)
    assert isinstance(failure, AuthenticationError)
    assert row.key_variable in str(failure)
    assert row.key_variable in failure.hint
    assert failure.local
    assert not server.received


@everyone
def test_an_unknown_model_is_asked_for_once(prefix: str, environment: pytest.MonkeyPatch) -> None:
    with serving(always(CASES[prefix].unknown_model)) as server:
        failure = failure_of(at(server, prefix, environment))
    assert isinstance(failure, ModelNotFoundError)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("prefix", [p for p, case in CASES.items() if case.rate_limit])
def test_a_rate_limit_says_when_to_come_again(
    prefix: str, environment: pytest.MonkeyPatch
) -> None:
    case = CASES[prefix]
    assert case.rate_limit is not None
    with serving(always(case.rate_limit)) as server:
        failure = failure_of(at(server, prefix, environment))
    assert isinstance(failure, RateLimitError)
    assert failure.retry_after == case.wait


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Please try again in 644ms.", 0.644),
        ("Please try again in 7.66s.", 7.66),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("Please retry in 34.07s.", 34.07),
        ("Please try again in 5 minutes.", None),
        ("Please try again in a while.", None),
    ],
)
def test_when_to_come_again_in_words(words: str, expected: float | None) -> None:
    for body in (words, {"message": words}, {"metadata": {"raw": json.dumps({"error": words})}}):
        assert retry_after({}, body) == expected
    assert retry_after({"retry-after": "2"}, words) == 2.0


@everyone
def test_what_a_model_refuses_is_learned_at_once(
    prefix: str, environment: pytest.MonkeyPatch
) -> None:
    case = CASES[prefix]

    def respond(received: Received, handler: Handler) -> Reply:
        return case.refusal if case.refuses(received.body) else Reply(body=case.good)

    with serving(respond) as server:
        llm = at(server, prefix, environment)
        for _ in range(2):
            assert llm.complete(REQUEST).texts == (GOOD,)
    assert [case.refuses(body) for body in server.bodies] == [True, False, False]


@pytest.mark.parametrize("prefix", ["anthropic", "deepseek"])
def test_a_provider_without_schemas_is_told_the_schema(
    prefix: str, environment: pytest.MonkeyPatch
) -> None:
    with serving(always(Reply(body=CASES[prefix].good))) as server:
        at(server, prefix, environment).complete(REQUEST)
    (body,) = server.bodies
    schema = json.dumps(REQUEST.schema, separators=(",", ":"))
    assert body["messages"][-1]["content"].endswith(schema)
    assert body.get("response_format") == (
        {"type": "json_object"} if prefix == "deepseek" else None
    )


def test_a_model_named_by_the_environment(environment: pytest.MonkeyPatch) -> None:
    with serving(always(Reply(body=CASES["anthropic"].good))) as server:
        at(server, "anthropic", environment)
        environment.setenv("OPTUNA_LLM", "anthropic/m")
        why, build = resolve(None)
        assert why == "OPTUNA_LLM='anthropic/m'"
        assert build().complete(REQUEST).texts == (GOOD,)
    assert LLMSampler("anthropic/m")  # no key is needed before the first trial


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", "http://localhost:11434/v1"),
        ("0.0.0.0", "http://localhost:11434/v1"),
        (":8000", "http://localhost:8000/v1"),
        ("box:11434", "http://box:11434/v1"),
        ("http://[::1]:11434", "http://[::1]:11434/v1"),
        ("https://ollama.example.org/", "https://ollama.example.org/v1"),
        ("http://box:80/ollama/v1/", "http://box:80/ollama/v1"),
    ],
)
def test_the_address_of_ollama(host: str, expected: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OLLAMA_HOST", host)
    assert PROVIDERS["ollama"].address() == expected


def test_a_provider_is_known_by_its_address() -> None:
    for provider in PROVIDERS.values():
        assert provider_at(provider.base_url) is provider
    assert provider_at("https://api.deepseek.com/v1") is PROVIDERS["deepseek"]
    assert provider_at("https://api.deepseek.com.example.org/v1") is None


def test_unknown_prefixes_are_refused_with_a_list_of_the_known() -> None:
    for text in ("antropic/m", "anthropic/", "anthropic"):
        with pytest.raises(ValueError, match=r'"anthropic/<model>".*"vllm/<model>"'):
            resolve(text)


def test_the_doctor_lists_providers_and_shows_no_key(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("GROQ_API_KEY", KEY)
    main(["doctor", "--json", "--llm", "nonsense"])
    out = capsys.readouterr().out
    (check,) = [c for c in json.loads(out)["checks"] if c["name"] == "providers"]
    have, lack, free = check["detail"].split("; ")
    assert have == "key set: groq (GROQ_API_KEY)"
    assert "anthropic (ANTHROPIC_API_KEY)" in lack
    assert "ollama" in free
    assert KEY not in out
