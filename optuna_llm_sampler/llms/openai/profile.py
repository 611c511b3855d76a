"""What an endpoint can do, and the request that fits it. Pure functions of plain data.

Endpoints that call themselves OpenAI-compatible differ in what they refuse. Nobody asks them
beforehand: a request is sent in the best form, and each refusal (400, 404, 422) leads to the next
form: without a parameter, with a lower limit of tokens, without a kind of message. What was
learned is kept in :class:`Abilities` once a request has come through.
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

from ...errors import BadRequestError
from ...errors import LLMError
from ...errors import ServerError
from ..base import Message
from ..base import Request


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
# Words for a limit that is too high, in an error about tokens.
_TOO_MANY = re.compile(
    r"too (large|long|many|high|big)|exceed|at most|maximum|less than|lower|fewer|afford|range"
    r"|reduce|limit|<=|>",
    re.IGNORECASE,
)
_ABOUT_TOKENS = re.compile(r"tokens|context", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.-])\d+(?![\w.]*[^\W\d])")
_TOTAL = re.compile(r"context (?:length|window|size)\D{0,30}?(\d+)|limit:? (\d+)|<= ?(\d+)", re.I)
_OF_PROMPT = re.compile(
    r"(\d+) (?:tokens? )?(?:(?:in|from|of) )?(?:the |your )?[`']?(?:messages|prompt|input)"
)
_REQUESTED = re.compile(r"requested:? (?:about |up to )?(\d+)", re.IGNORECASE)
# Less than this holds no answer.
_LEAST_TOKENS = 256
# What a model that reasons gets, once it has spent a limit without an answer.
_ROOM_FACTOR, _LEAST_ROOM, _MOST_ROOM = 4, 4_096, 16_384
_ABOUT_SYSTEM = re.compile(
    r"\b(system|developer)\b.{0,40}(not (be )?(support|allow|enabl|permit)|unsupported|invalid)"
    r"|(not support|unsupported|invalid|unknown|not allow).{0,40}\b(system|developer)\b"
    r"|roles must alternate",
    re.IGNORECASE | re.DOTALL,
)
_ABOUT_PREFILL = re.compile(
    r"prefill|\b(last|final) (message|role|turn)\b"
    r"|\bend(s|ing)? (with|in) (an? |the )?['\"]?(user|assistant)|assistant messages? at the end",
    re.IGNORECASE,
)
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
        ceiling:
            The highest limit of tokens that it takes, as far as it was said.
        roomy:
            Whether the model spends tokens before it answers, and needs more of them.
        system, prefill:
            Whether a system message, and a last message of the assistant's, are taken.
    """

    api: Api
    limits: tuple[str, ...]
    rung: int = 0
    own: bool = True
    dropped: frozenset[str] = frozenset()
    ceiling: int | None = None
    roomy: bool = False
    system: bool = True
    prefill: bool = True

    def lowered(self) -> Abilities:
        """One rung down, as far as there is one."""
        return replace(self, rung=min(self.rung + 1, len(RUNGS) - 1))

    def merged(self, other: Abilities) -> Abilities:
        """Both together: what two threads have learned at the same time."""
        if self.api != other.api:
            return self if self.api == "chat" else other
        ceilings = [c for c in (self.ceiling, other.ceiling) if c is not None]
        return replace(
            self,
            rung=max(self.rung, other.rung),
            dropped=self.dropped | other.dropped,
            ceiling=min(ceilings, default=None),
            roomy=self.roomy or other.roomy,
            system=self.system and other.system,
            prefill=self.prefill and other.prefill,
        )


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
    if (other := _other_messages(abilities, failure, request)) is not None:
        return other
    if (ceiling := _lower_limit(abilities, failure, request)) is not None:
        return replace(abilities, ceiling=ceiling)
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


def token_limit(request: Request, abilities: Abilities) -> int:
    """The limit of tokens that is sent."""
    limit = request.max_tokens
    if abilities.roomy:
        limit = max(limit, min(max(_ROOM_FACTOR * limit, _LEAST_ROOM), _MOST_ROOM))
    return limit if abilities.ceiling is None else min(limit, abilities.ceiling)


def more_room(abilities: Abilities, request: Request) -> Abilities | None:
    """With a higher limit of tokens, or :obj:`None` when that was tried or cannot be."""
    roomy = replace(abilities, roomy=True)
    sent = any(name.startswith("max_") for name in parameters(request, abilities))
    more = token_limit(request, roomy) > token_limit(request, abilities)
    return roomy if sent and more and not abilities.roomy else None


def is_about_messages(text: str) -> bool:
    """Whether an error is about roles: the same messages are not taken a moment later, either."""
    return bool(_ABOUT_SYSTEM.search(text) or _ABOUT_PREFILL.search(text))


def _other_messages(abilities: Abilities, failure: Failure, request: Request) -> Abilities | None:
    """Without the kind of message that the endpoint, or the model's template, does not take."""
    if not isinstance(failure.error, (BadRequestError, ServerError)):
        return None
    roles = [message["role"] for message in _messages(request, abilities)]
    if roles and roles[-1] == "assistant" and _ABOUT_PREFILL.search(failure.text):
        return replace(abilities, prefill=False)
    if "system" in roles and _ABOUT_SYSTEM.search(failure.text):
        return replace(abilities, system=False)
    return None


def _lower_limit(abilities: Abilities, failure: Failure, request: Request) -> int | None:
    """The limit of tokens that an endpoint takes which has refused a higher one."""
    text = failure.text
    if failure.status not in (400, 402, 413, 422, 429) or not _ABOUT_TOKENS.search(text):
        return None
    if failure.status == 429 and "max_tokens" not in text:
        return None  # too many requests, most likely
    if not _TOO_MANY.search(text):
        return None
    limit = token_limit(request, abilities)
    said = _limit_said(text.replace(",", ""), limit)
    if said is None and limit // 2 >= request.max_tokens // 4:
        said = limit // 2
    return said if said is not None and _LEAST_TOKENS <= said < limit else None


def _limit_said(text: str, limit: int) -> int | None:
    """The number of tokens for the answer in an error, or what follows from those in it."""
    total = next((int(n) for match in _TOTAL.finditer(text) for n in match.groups() if n), None)
    prompt = next((int(match[1]) for match in _OF_PROMPT.finditer(text)), None)
    requested = next((int(match[1]) for match in _REQUESTED.finditer(text)), None)
    if prompt is None and requested is not None and requested > limit:
        prompt = requested - limit
    if total is not None and prompt is not None:
        return (total - prompt) * 3 // 4  # the next prompt may be longer
    numbers = [int(n[:12]) for n in _NUMBER.findall(text)]
    return max((n for n in numbers if 16 <= n < limit), default=None)


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
        messages = _messages(request, abilities)
        if messages and messages[-1]["role"] == "assistant":
            options |= {"continue_final_message": True, "add_generation_prompt": False}
    limit = next((name for name in abilities.limits if name not in abilities.dropped), None)
    return options if limit is None else options | {limit: token_limit(request, abilities)}


def _responses_options(request: Request, abilities: Abilities) -> dict[str, Any]:
    form = _schema_format(request) if abilities.rung == 0 else _plain_format(request, abilities)
    return {
        "store": False,  # The history of somebody's study need not lie on a server.
        "temperature": request.temperature,
        "max_output_tokens": token_limit(request, abilities),
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
    if not abilities.prefill and messages and messages[-1]["role"] == "assistant":
        messages.pop()
    if not abilities.system:
        messages = _folded(messages)
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


def _folded(messages: list[Message]) -> list[Message]:
    """Put what the system says before the user's first words."""
    system = [m["content"] for m in messages if m["role"] == "system"]
    others = [m for m in messages if m["role"] != "system"]
    if not system:
        return messages
    first = next((i for i, m in enumerate(others) if m["role"] == "user"), None)
    said = [others[first]["content"]] if first is not None else []
    user = Message(role="user", content="\n\n".join([*system, *said]))
    if first is None:
        return [user, *others]
    return [*others[:first], user, *others[first + 1 :]]


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
