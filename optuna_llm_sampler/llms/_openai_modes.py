"""What an endpoint can do, and the request that fits it. Pure functions of plain data.

Endpoints that call themselves OpenAI-compatible differ in what they refuse. Nobody asks them
beforehand: a request is sent in the best form, and each refusal (400, 404, 422) leads to the next
form. What was learned is kept in :class:`Abilities` once a request has come through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
import json
import re
from typing import Any
from typing import Literal
from urllib.parse import urlsplit

from ..errors import BadRequestError
from ..errors import LLMError
from ._types import Message
from ._types import Request


Api = Literal["responses", "chat"]

RUNGS = ("json_schema", "json_object", "text")

# What only servers of one's own know: llama.cpp, and vLLM and SGLang, which go on from a begun
# answer only when told so. Others leave it out of account, or refuse it and are not told again.
EXTRAS = ("grammar", "continue_final_message", "add_generation_prompt")

_OWN_HOSTS = ("api.openai.com", "openai.azure.com", "services.ai.azure.com")

_INSTRUCTION = (
    "Answer with one JSON object that follows this JSON schema, and with nothing else:\n{schema}"
)

_REQUIRED = ("messages", "input", "model")
_FORMATS = ("response_format", "text")
_FORMAT_WORDS = r"response_format|text\.format|json_schema|json_object|grammar|(?i:json schema)"
_ABOUT_MODEL = re.compile(r"model|deployment", re.IGNORECASE)
_ABOUT_LENGTH = re.compile(r"context.{0,10}(length|size|window)|context_length", re.IGNORECASE)
# Azure answers 400, not 404, where the API version is older than Responses.
_ABOUT_RESPONSES = re.compile(r"responses api|/responses", re.IGNORECASE)


@dataclass(frozen=True)
class Abilities:
    """What one endpoint takes for one model.

    Attributes:
        api:
            Which of the two APIs is spoken.
        own:
            Whether it is OpenAI's or Azure's own endpoint, which has no extras.
        limits:
            The names that the token limit may have, best first.
        rung:
            Index in :data:`RUNGS`: how the form of the answer is asked for.
        dropped:
            Parameters that are not sent.
    """

    api: Api
    limits: tuple[str, ...]
    rung: int = 0
    own: bool = True
    dropped: frozenset[str] = frozenset()

    def lowered(self) -> Abilities:
        """One rung down, as far as there is one."""
        return replace(self, rung=min(self.rung + 1, len(RUNGS) - 1))

    def merged(self, other: Abilities) -> Abilities:
        """Both together: what two threads have learned at the same time."""
        if self.api != other.api:
            return self if self.api == "chat" else other
        return replace(self, rung=max(self.rung, other.rung), dropped=self.dropped | other.dropped)


@dataclass(frozen=True)
class Failure:
    """One call without an answer, as plain data.

    Attributes:
        error:
            What the caller gets when nothing else can be tried.
        status:
            HTTP status, or :obj:`None` when no answer came.
        code:
            The endpoint's own word for the failure.
        param:
            The parameter that the endpoint names as the reason.
        text:
            The endpoint's own words.
        try_again:
            Whether the same request may work a moment later.
    """

    error: LLMError
    status: int | None = None
    code: str = ""
    param: str = ""
    text: str = ""
    try_again: bool = False


def is_own_endpoint(url: str) -> bool:
    """Whether OpenAI or Azure answers there, so that the newest API and names can be used."""
    host = urlsplit(url).hostname or ""
    return any(host == own or host.endswith(f".{own}") for own in _OWN_HOSTS)


def first_guess(*, own: bool, use_chat_completions_api: bool | None) -> Abilities:
    """The form in which an endpoint is asked for the first time."""
    chat = not own if use_chat_completions_api is None else use_chat_completions_api
    names = ("max_completion_tokens", "max_tokens")
    limits = names if own else names[::-1]
    return Abilities(api="chat" if chat else "responses", limits=limits, own=own)


def parameters(request: Request, abilities: Abilities) -> dict[str, Any]:
    """The arguments of the SDK's ``create``, without the model."""
    messages = _messages(request, abilities)
    if abilities.api == "chat":
        fixed: dict[str, Any] = {"messages": messages}
        optional = _chat_options(request, abilities)
    else:
        fixed = {"input": messages}
        optional = _responses_options(request, abilities)
    return fixed | {
        name: value
        for name, value in optional.items()
        if value is not None and name not in abilities.dropped
    }


def next_step(
    abilities: Abilities, failure: Failure, request: Request, *, may_change_api: bool
) -> Abilities | None:
    """The next form to try after a refusal, or :obj:`None` when the refusal is final.

    Each step takes something away, so that the steps come to an end.
    """
    if abilities.api == "responses" and may_change_api and _lacks_responses(failure):
        return replace(abilities, api="chat", rung=0)
    if not isinstance(failure.error, BadRequestError) or _ABOUT_LENGTH.search(failure.text):
        return None
    sent = parameters(request, abilities)
    blamed = _blamed(failure, sent)
    if blamed in _REQUIRED:
        return None
    if blamed is not None and blamed not in _FORMATS:
        return replace(abilities, dropped=abilities.dropped | {blamed})
    # An unexplained 400 is most often an old server that has never heard of response_format,
    # or one that gives a single answer.
    if request.schema is not None and abilities.rung + 1 < len(RUNGS):
        return abilities.lowered()
    if "n" in sent:
        return replace(abilities, dropped=abilities.dropped | {"n"})
    if extras := frozenset(EXTRAS) & set(sent):
        return replace(abilities, dropped=abilities.dropped | extras)
    return None


def _chat_options(request: Request, abilities: Abilities) -> dict[str, Any]:
    options: dict[str, Any] = {
        "temperature": request.temperature,
        "seed": request.seed,
        "n": request.n if request.n > 1 else None,
        "stop": list(request.stop[:4]) or None,  # OpenAI takes four; the rest is cut by us.
        "response_format": _chat_format(request, abilities),
    }
    if not abilities.own:
        options["grammar"] = request.grammar
        if request.messages and request.messages[-1]["role"] == "assistant":
            options |= {"continue_final_message": True, "add_generation_prompt": False}
    limit = next((name for name in abilities.limits if name not in abilities.dropped), None)
    return options if limit is None else options | {limit: request.max_tokens}


def _responses_options(request: Request, abilities: Abilities) -> dict[str, Any]:
    form = _schema_format(request) if abilities.rung == 0 else _plain_format(request, abilities)
    return {
        "store": False,  # The history of somebody's study need not lie on a server.
        "temperature": request.temperature,
        "max_output_tokens": request.max_tokens,
        "text": None if form is None else {"format": form},
    }


def _chat_format(request: Request, abilities: Abilities) -> dict[str, Any] | None:
    if abilities.rung > 0:
        return _plain_format(request, abilities)
    form = _schema_format(request)
    return None if form is None else {"type": form.pop("type"), "json_schema": form}


def _schema_format(request: Request) -> dict[str, Any] | None:
    if request.schema is None:
        return None
    return {"type": RUNGS[0], "name": "answer", "strict": True, "schema": dict(request.schema)}


def _plain_format(request: Request, abilities: Abilities) -> dict[str, Any] | None:
    wanted = request.schema is not None and RUNGS[abilities.rung] == "json_object"
    return {"type": "json_object"} if wanted else None


def _messages(request: Request, abilities: Abilities) -> list[Message]:
    messages = list(request.messages)
    if request.schema is None or abilities.rung == 0:
        return messages
    schema = json.dumps(request.schema, separators=(",", ":"))
    words = _INSTRUCTION.format(schema=schema)
    # At the end of the last question: some chat templates refuse a second system message, and the
    # prefix that providers cache stays the same.
    for i in reversed(range(len(messages))):
        if messages[i]["role"] == "user":
            content = f"{messages[i]['content']}\n\n{words}"
            return [*messages[:i], Message(role="user", content=content), *messages[i + 1 :]]
    return [*messages, Message(role="user", content=words)]


def _lacks_responses(failure: Failure) -> bool:
    if failure.status in (404, 405, 501):
        return not (_ABOUT_MODEL.search(failure.code) or _ABOUT_MODEL.search(failure.text))
    return failure.status == 400 and bool(_ABOUT_RESPONSES.search(failure.text))


def _blamed(failure: Failure, sent: Iterable[str]) -> str | None:
    """Which of the parameters that were sent the endpoint complains about."""
    named = re.split(r"[.\[]", failure.param)[0]
    if named in _REQUIRED:
        return named
    # The format comes first, because a schema may hold a parameter called "seed"; `n` comes last,
    # because it is short.
    optional = [name for name in sent if name not in _REQUIRED]
    optional.sort(key=lambda name: (name not in _FORMATS, -len(name)))
    for name in optional:
        if named and (named == name or re.fullmatch(_pattern(name), named)):
            return name
    for name in optional:
        if re.search(rf"(?<![\w\\-])({_pattern(name)})(?![\w-])", failure.text):
            return name
    return None


def _pattern(name: str) -> str:
    if name in _FORMATS:
        return _FORMAT_WORDS
    if name.startswith("max_"):
        return "max_tokens|max_completion_tokens|max_output_tokens"
    return "n|n_cmpl" if name == "n" else re.escape(name)
