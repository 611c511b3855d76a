"""Servers of one's own, each with the oddities that its documentation and issues tell of.

vLLM and SGLang go on from a begun answer only with ``continue_final_message``; Ollama leaves out
of account what is not in its list of request fields, ``n`` and ``grammar`` among it; LM Studio
takes ``json_schema`` or ``text`` but no ``json_object``; llama.cpp gives no more answers than it
has slots. The real llama.cpp server is in ``test_real_weights.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import itertools
import json
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
import pytest

from optuna_llm_sampler import OpenAI
from optuna_llm_sampler._advice.ask import ask
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.summary import StudySummary

from ..support import servers
from ..support.servers import Body, Handler, Received, Reply, serving


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-6, 1.0, log=True),
    "n": IntDistribution(1, 512, log=True),
}
QUESTION = Question(SPACE, StudySummary(("minimize",), ("",)), n_configs=4)
BEGUN = "```python\nparams = dict("


def nothing(params: Mapping[str, Any]) -> bool:
    """No configuration is known already."""
    return False


class Model:
    """Writes another configuration each time; goes on from a beginning only if it is let."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def goes_on(self) -> str:
        return f"lr={0.5 ** next(self._numbers)}, n=32)\n```"

    def starts_anew(self) -> str:
        return f"Here you are:\n{BEGUN}{self.goes_on()}"

    def as_json(self) -> str:
        return json.dumps({"configs": [{"lr": 0.001, "n": 2**k, "why": ""} for k in range(4)]})

    def answer(self, body: Body, *, begun: bool) -> str:
        if body["messages"][-1]["role"] == "assistant":
            return self.goes_on() if begun else self.starts_anew()
        return self.as_json()


Rules = Callable[[Model, Body], Reply]


def vllm(model: Model, body: Body) -> Reply:
    begun = bool(body.get("continue_final_message")) and not body.get("add_generation_prompt")
    n = body.get("n", 1)
    return Reply(body=servers.chat(*(model.answer(body, begun=begun) for _ in range(n))))


def vllm_without_the_schema(model: Model, body: Body) -> Reply:
    if body.get("response_format", {}).get("type") == "json_schema":
        words = "The provided JSON schema contains features not supported by xgrammar."
        return servers.error(400, words)
    return vllm(model, body)


def ollama(model: Model, body: Body) -> Reply:
    assert body["model"]
    return Reply(body=servers.chat(model.answer(body, begun=True)))


def lm_studio(model: Model, body: Body) -> Reply:
    if body.get("response_format", {}).get("type") == "json_object":
        return Reply(400, {"error": "'response_format.type' must be 'json_schema' or 'text'"})
    return Reply(body=servers.chat(model.answer(body, begun=False)))


def llama_cpp(model: Model, body: Body) -> Reply:
    if body.get("n", 1) > 2:
        return servers.error(400, "n_cmpl cannot be greater than the number of slots")
    if body["messages"][-1]["role"] == "assistant":
        assert body["grammar"].startswith("%llguidance {}")
    return Reply(body=servers.chat(model.answer(body, begun=True)))


def strict(model: Model, body: Body) -> Reply:
    for name in ("grammar", "continue_final_message", "add_generation_prompt"):
        if name in body:
            detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "not permitted"}]
            return Reply(422, {"detail": detail})
    return Reply(body=servers.chat(model.answer(body, begun=True)))


def curt(model: Model, body: Body) -> Reply:
    if {"n", "grammar", "continue_final_message"} & set(body):
        return servers.error(400, "Bad Request")
    return Reply(body=servers.chat(model.answer(body, begun=True)))


SERVERS: dict[str, Rules] = {
    "vllm": vllm,
    "sglang": vllm,
    "vllm_without_the_schema": vllm_without_the_schema,
    "ollama": ollama,
    "lm_studio": lm_studio,
    "llama_cpp": llama_cpp,
    "strict": strict,
    "curt": curt,
}


@pytest.mark.parametrize("style", ["code", "json"])
@pytest.mark.parametrize("name", SERVERS)
def test_every_server_gives_all_configurations(name: str, style: str) -> None:
    model = Model()

    def respond(received: Received, handler: Handler) -> Reply:
        return SERVERS[name](model, received.body)

    with serving(respond) as server:
        llm = OpenAI(base_url=server.url, model="anything", style=style)
        advice = ask(llm, QUESTION, nothing, timeout=30.0, max_requests=1).advice
        asked = len(server.bodies)
        again = ask(llm, QUESTION, nothing, timeout=30.0, max_requests=1).advice
        assert len(server.bodies) - asked <= (4 if style == "code" else 1)  # nothing is refused
    assert len(advice.configs) == len(again.configs) == 4
    assert not advice.repaired


def test_openai_itself_is_told_of_no_extras() -> None:
    from optuna_llm_sampler._advice.prompts import build
    from optuna_llm_sampler.llms.openai.body import parameters
    from optuna_llm_sampler.llms.openai.profile import first_profile
    from optuna_llm_sampler.llms.providers import EXTRAS, OPENAI

    request = build(QUESTION, "code")
    own = first_profile(OPENAI, "https://api.openai.com/v1", use_chat_completions_api=True)
    assert not set(EXTRAS) & set(parameters(request, own))
    assert set(EXTRAS) <= set(parameters(request, first_profile(OPENAI, "http://box:9000/v1")))
