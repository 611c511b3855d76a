"""From the body of an answer to a :class:`Completion`. Pure functions of plain data.

Nothing in the body is taken for granted: compatible servers leave out usage, send a web page, or
put an error into an answer with status 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import json
import re
from typing import Any

from ...errors import LLMError, RefusalError, TokenUsage, TruncatedError, UnusableAnswerError
from ..base import Completion, Request, until
from ..read_text import holds_object, is_open_thought
from .profile import Api


_PAGE_HINT = (
    "Check base_url: it must name the API, not a web page (most servers: .../v1). If it does, a "
    "proxy or a login page stands between here and the endpoint."
)
_THOUGHT_HINT = (
    "The model only thinks aloud: turn its reasoning off or down, or correct the server's parser "
    "of reasoning."
)
_CUT_HINT = (
    "The model spends all of its tokens before it answers: turn its reasoning off or down, use a "
    "model that reasons less, or lower n_configs."
)
_TITLE = re.compile(r"<(title|h1)[^>]*>([^<]{1,200})", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """One of the answers in a body."""

    text: str
    finish_reason: str = "stop"
    refusal: str | None = None
    thought: str = ""


def body_of(text: str) -> Mapping[str, Any]:
    """Return the JSON object that an endpoint answered.

    Raises:
        UnusableAnswerError: It is none.
    """
    if is_page(text):
        raise UnusableAnswerError(
            f"the endpoint answered with a web page instead of JSON{page_title(text)}",
            hint=_PAGE_HINT,
        )
    body = _json_or_none(text)
    if not isinstance(body, dict):
        raise UnusableAnswerError("the endpoint answered with something that is no JSON object")
    return body


def is_page(text: str) -> bool:
    """Tell whether it is HTML or XML."""
    return text.lstrip("\ufeff \r\n\t").startswith("<")


def page_title(text: str) -> str:
    """Return the title of a web page, to be put after a message."""
    match = _TITLE.search(text[:20_000])
    return f' ("{" ".join(match[2].split())}")' if match and match[2].strip() else ""


def is_cut_short(body: Mapping[str, Any], api: Api, request: Request) -> bool:
    """Tell whether more tokens would have made a better answer.

    Of an answer that is not asked for as JSON, only the model's reasoning shows that.
    """
    answers = _answers(body, api, request)
    cut = [answer for answer in answers if answer.finish_reason == "length"]
    if request.schema is not None:
        return any(not is_json(answer.text) for answer in cut)
    return any(answer.thought or not answer.text.strip() for answer in cut)


def completion_of(body: Mapping[str, Any], api: Api, request: Request) -> Completion:
    """Return the answers that can be used.

    Raises:
        RefusalError: The model declines.
        TruncatedError: The token limit has cut every answer before anything in it was complete.
        UnusableAnswerError: There is no text.
    """
    answers = _answers(body, api, request)
    usable = [answer for answer in answers if _is_usable(answer, request)]
    usage = _usage(body.get("usage"))
    if not usable:
        error = _reason_for_none(answers)
        error.usage = usage  # paid for all the same
        raise error
    return Completion(
        texts=tuple(answer.text for answer in usable[: request.n]),
        usage=usage,
        model=_text(body.get("model")),
        finish_reason=usable[0].finish_reason,
    )


def _answers(body: Mapping[str, Any], api: Api, request: Request) -> list[Answer]:
    answers = _chat_answers(body) if api == "chat" else _responses_answers(body)
    return [_trimmed(answer, request) for answer in answers]


def is_json(text: str) -> bool:
    """Tell whether the whole text is JSON, with nothing around it."""
    return _json_or_none(text) is not None


def _chat_answers(body: Mapping[str, Any]) -> list[Answer]:
    answers = []
    for choice in _dicts(body.get("choices")):
        message = _dict(choice.get("message"))
        reason = _text(choice.get("finish_reason")) or "stop"
        refusal = _text(message.get("refusal"))
        if reason == "content_filter":
            refusal = refusal or "stopped by the endpoint's content filter"
        content = message.get("content")
        text = _text(content) or _joined(_dicts(content), "text")
        thought = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
        if not text.strip() and reason != "length" and is_json(thought):
            text = thought  # some servers take the answer for a thought
        if reason == "length" and is_open_thought(text):
            text, thought = "", text
        answers.append(Answer(text, reason, refusal or None, thought))
    return answers


def _responses_answers(body: Mapping[str, Any]) -> list[Answer]:
    why = _text(_dict(body.get("incomplete_details")).get("reason"))
    messages = [item for item in _dicts(body.get("output")) if item.get("type") == "message"]
    # Newer models think aloud in messages of their own; only the last word counts then.
    final = [item for item in messages if item.get("phase") == "final_answer"]
    parts = [part for item in final or messages for part in _dicts(item.get("content"))]
    refusal = _joined(parts, "refusal")
    if why == "content_filter":
        refusal = refusal or "stopped by the endpoint's content filter"
    reason = "length" if why == "max_output_tokens" else why or "stop"
    thoughts = [item for item in _dicts(body.get("output")) if item.get("type") == "reasoning"]
    thought = "reasoning" if thoughts else ""
    return [Answer(_joined(parts, "text"), reason, refusal or None, thought)]


def _trimmed(answer: Answer, request: Request) -> Answer:
    """Remove a repeated beginning and what follows a stop text."""
    text = answer.text
    last = request.messages[-1] if request.messages else None
    if last is not None and last["role"] == "assistant":
        # An endpoint that cannot go on from a given beginning often repeats it.
        beginning = last["content"].strip()
        if beginning and text.lstrip().startswith(beginning):
            text = text.lstrip()[len(beginning) :]
    return replace(answer, text=until(text, request.stop))


def _is_usable(answer: Answer, request: Request) -> bool:
    if answer.refusal is not None or not answer.text.strip():
        return False
    if answer.finish_reason == "length" and request.schema is not None:
        return is_json(answer.text) or holds_object(answer.text)
    return True


def _reason_for_none(answers: list[Answer]) -> LLMError:
    refusal = next((answer.refusal for answer in answers if answer.refusal is not None), None)
    if refusal is not None:
        return RefusalError(f"the model declines: {refusal[:200]}")
    if any(answer.finish_reason == "length" for answer in answers):
        thought = any(answer.thought for answer in answers)
        return TruncatedError(
            "the answer was cut by the token limit before it was complete",
            hint=_CUT_HINT if thought else None,
        )
    if any(answer.thought for answer in answers):
        return UnusableAnswerError(
            "the answer holds only reasoning (reasoning_content) and no content",
            hint=_THOUGHT_HINT,
        )
    return UnusableAnswerError("the answer holds no text")


def _usage(usage: object) -> TokenUsage:
    numbers = _dict(usage)
    details = _dict(numbers.get("prompt_tokens_details") or numbers.get("input_tokens_details"))
    given = _count(numbers.get("prompt_tokens", numbers.get("input_tokens")))
    written = _count(numbers.get("completion_tokens", numbers.get("output_tokens")))
    total = _count(numbers.get("total_tokens"))
    if given is not None and written is not None and total is not None:
        # OpenAI counts reasoning as output; Gemini and xAI count it in the total only.
        written = max(written, total - given)
    cached = details.get("cached_tokens", numbers.get("prompt_cache_hit_tokens"))
    return TokenUsage(given, written, _count(cached))


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _joined(parts: list[dict[str, Any]], key: str) -> str:
    return "".join(_text(part.get(key)) for part in parts)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
