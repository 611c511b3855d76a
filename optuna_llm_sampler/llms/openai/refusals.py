"""What follows from a refusal. Pure functions of plain data.

Endpoints that call themselves OpenAI-compatible differ in what they refuse. A request is sent in
the best form that the profile knows, and each refusal (400, 404, 422) leads to the next form:
without a parameter, with a lower token limit, without a kind of message, with another output mode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
import re

from ...errors import BadRequestError, LLMError, ServerError
from ..base import Request
from ..providers import EXTRAS
from .body import messages_of, parameters
from .profile import EndpointProfile, OUTPUT_MODES, token_limit


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
class Failure:
    """One call without an answer, as plain data."""

    error: LLMError  # what the caller gets when nothing else can be tried
    status: int | None = None  # HTTP status, or None when no answer came
    code: str = ""  # the endpoint's own word for the failure
    param: str = ""  # the parameter that the endpoint names as the reason
    text: str = ""  # the endpoint's own words
    try_again: bool = False  # whether the same request may work a moment later


def next_profile(
    profile: EndpointProfile, failure: Failure, request: Request, *, may_change_api: bool
) -> EndpointProfile | None:
    """Return the next form to try after a refusal, or :obj:`None` when the refusal is final.

    Each step takes something away, so that the steps come to an end.
    """
    if profile.api == "responses" and may_change_api and _lacks_responses(failure):
        return replace(profile, api="chat", output_mode="json_schema")
    if (other := _other_messages(profile, failure, request)) is not None:
        return other
    if (ceiling := _lower_limit(profile, failure, request)) is not None:
        return replace(profile, ceiling=ceiling)
    if not isinstance(failure.error, BadRequestError) or is_about_length(failure.text):
        return None
    sent = parameters(request, profile)
    blamed = _blamed(failure, sent)
    if blamed in _REQUIRED:
        return None
    if blamed is not None and blamed not in _FORMATS:
        return replace(profile, dropped=profile.dropped | {blamed})
    # An unexplained 400 is most often an old server that has never heard of response_format,
    # or one that gives a single answer.
    if request.schema is not None and profile.output_mode != OUTPUT_MODES[-1]:
        return profile.lowered()
    if "n" in sent:
        return replace(profile, dropped=profile.dropped | {"n"})
    if extras := frozenset(EXTRAS) & set(sent):
        return replace(profile, dropped=profile.dropped | extras)
    return None


def more_room(profile: EndpointProfile, request: Request) -> EndpointProfile | None:
    """Return a profile with a higher token limit, or :obj:`None` if there is none to try."""
    roomy = replace(profile, roomy=True)
    is_sent = any(name.startswith("max_") for name in parameters(request, profile))
    is_more = token_limit(request, roomy) > token_limit(request, profile)
    return roomy if is_sent and is_more else None


def is_about_length(text: str) -> bool:
    """Tell whether an error is about prompt and answer being longer than the context."""
    return bool(_ABOUT_LENGTH.search(text))


def is_about_messages(text: str) -> bool:
    """Tell whether an error is about roles: the same messages will be refused again."""
    return bool(_ABOUT_SYSTEM.search(text) or _ABOUT_PREFILL.search(text))


def _other_messages(
    profile: EndpointProfile, failure: Failure, request: Request
) -> EndpointProfile | None:
    """Leave out the kind of message that the endpoint, or the model's template, refuses."""
    if not isinstance(failure.error, (BadRequestError, ServerError)):
        return None
    roles = [message["role"] for message in messages_of(request, profile)]
    if roles and roles[-1] == "assistant" and _ABOUT_PREFILL.search(failure.text):
        return replace(profile, takes_prefill=False)
    if "system" in roles and _ABOUT_SYSTEM.search(failure.text):
        return replace(profile, takes_system=False)
    return None


def _lower_limit(profile: EndpointProfile, failure: Failure, request: Request) -> int | None:
    """Return the token limit that an endpoint takes which has refused a higher one."""
    text = failure.text
    if failure.status not in (400, 402, 413, 422, 429) or not _ABOUT_TOKENS.search(text):
        return None
    is_about_rate = failure.status == 429 and "max_tokens" not in text
    if is_about_rate or not _TOO_MANY.search(text):
        return None
    limit = token_limit(request, profile)
    said = _limit_said(text.replace(",", ""), limit)
    if said is None and limit // 2 >= request.max_tokens // 4:
        said = limit // 2
    return said if said is not None and _LEAST_TOKENS <= said < limit else None


def _limit_said(text: str, limit: int) -> int | None:
    """Find the tokens for the answer in an error, or compute them from other numbers in it."""
    total = next((int(n) for match in _TOTAL.finditer(text) for n in match.groups() if n), None)
    prompt = next((int(match[1]) for match in _OF_PROMPT.finditer(text)), None)
    requested = next((int(match[1]) for match in _REQUESTED.finditer(text)), None)
    if prompt is None and requested is not None and requested > limit:
        prompt = requested - limit
    if total is not None and prompt is not None:
        return (total - prompt) * 3 // 4  # the next prompt may be longer
    numbers = [int(n[:12]) for n in _NUMBER.findall(text)]
    return max((n for n in numbers if 16 <= n < limit), default=None)


def _lacks_responses(failure: Failure) -> bool:
    if failure.status in (404, 405, 501):
        return not (_ABOUT_MODEL.search(failure.code) or _ABOUT_MODEL.search(failure.text))
    return failure.status == 400 and bool(_ABOUT_RESPONSES.search(failure.text))


def _blamed(failure: Failure, sent: Iterable[str]) -> str | None:
    """Return which of the parameters that were sent the endpoint complains about."""
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
