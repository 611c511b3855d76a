"""From what the openai SDK raises to our own errors, with nothing in them that could be a key.

Importing this module imports the SDK, which takes a second: it is imported with the first call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import email.utils
import json
import math
import re
import time
from typing import Any

import openai

from ... import errors
from ..providers import key_hint
from .answers import is_page, page_title
from .refusals import Failure, is_about_length, is_about_messages


# The SDK's exceptions whose status says nothing, or that have none.
_WITHOUT_STATUS: dict[type[Exception], type[errors.LLMError]] = {
    openai.APIResponseValidationError: errors.UnusableAnswerError,
    openai.APITimeoutError: errors.CallTimeoutError,
    openai.APIConnectionError: errors.ConnectionFailedError,
}

# The endpoint's own word says more than the status.
_BY_CODE: dict[str, type[errors.LLMError]] = {
    "content_filter": errors.RefusalError,
    "content_policy_violation": errors.RefusalError,
    "invalid_prompt": errors.RefusalError,
    "bio_policy": errors.RefusalError,
    "misalignment_policy_violation": errors.RefusalError,
    "insufficient_quota": errors.RateLimitError,
    "rate_limit_exceeded": errors.RateLimitError,
    "model_not_found": errors.ModelNotFoundError,
    "DeploymentNotFound": errors.ModelNotFoundError,
    "server_error": errors.ServerError,
}

# Gemini and xAI answer 400 to a wrong key.
_ABOUT_KEY = re.compile(
    r"(invalid|incorrect|missing).{0,20}api[ _-]?key"
    r"|api[ _-]?key.{0,20}(invalid|not valid|missing)",
    re.IGNORECASE,
)
# DeepSeek, Mistral, OpenRouter and Together answer 400 to an unknown model.
_ABOUT_UNKNOWN_MODEL = re.compile(
    r"\bmodel (does )?not exist|not a valid model|invalid model\b|unable to access.{0,20} model",
    re.IGNORECASE,
)
# Gemini, OpenRouter and Groq say in the body when they want to be asked again.
_RETRY = re.compile(
    r"(?:retryDelay|retry_after_seconds|try again in|retry in)[\\\"': ]+"
    r"(?:(\d+)h)?(?:(\d+)m(?!s))?(\d+(?:\.\d+)?)(?:(ms)|s\b|(?=[,}]))"
)
# An endpoint answers with JSON, so a page with one of these comes from something before it.
_OF_GATEWAYS = (401, 403, 407, 451, 511)
_GATEWAY_HINT = (
    "This is not the endpoint's own answer, so the key is not to blame. Check HTTPS_PROXY and "
    "NO_PROXY, and whether the network lets this address through."
)
_HINTS = {
    402: "The account is out of credit, or has less than the request may cost.",
    403: "The endpoint forbids this, not for want of a key; see its words above. It may be the "
    "key's rights, the region or the model.",
    407: "A proxy wants to know who you are: put user and password into HTTPS_PROXY.",
}
_SIZE_HINT = (
    "Prompt and answer together are more than the model takes: use a model or a server with a "
    "larger context, or shorten task= and the notes."
)
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
# Also what DeepSeek, xAI and others leave of a key: sk-***xyz, ****fcc2.
_KEY_LIKE = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|hf|xai|nvapi)[-_]|AIza)[\w*.-]{6,}|[\w-]*\*{3,}[\w-]+"
)
_NO_SECRETS = ("bearer", "basic", "none")


def failure_from(
    exc: Exception,
    *,
    asked: str,
    headers: Mapping[str, Any] | None = None,
    key_variable: str = "OPENAI_API_KEY",
) -> Failure:
    """Turn whatever the SDK, or something below it, raised into plain data.

    Values of the headers, and of those of the request that failed, may be keys and do not appear
    in the message. The key variable is named if the key is to blame.
    """
    request = getattr(exc, "request", None)
    secrets = {*_secrets(headers or {}), *_secrets(getattr(request, "headers", {}))}
    body = _only_item(getattr(exc, "body", None))
    status = getattr(exc, "status_code", None)
    code = str(getattr(exc, "code", None) or (body.get("code") if isinstance(body, dict) else ""))
    text = redacted(_words(body), secrets)
    response_headers = getattr(getattr(exc, "response", None), "headers", {})
    wait = retry_after(response_headers, body)
    page = ""
    if isinstance(body, str) and is_page(body):
        page = f"a web page{redacted(page_title(body), secrets)}"
        if status in _OF_GATEWAYS:
            error = errors.ConnectionFailedError(
                f"{asked}: a proxy or gateway answered {status} with {page}",
                hint=_GATEWAY_HINT,
                retry_after=wait,
            )
            error.local = True  # another machine may have another way to the endpoint
            return Failure(error, status=status)
    kind = _error_class(exc, status, code, text)
    cause = exc.__cause__ or exc
    if status is None:
        answered = "did not answer"
        what = redacted(" ".join(f"{type(cause).__name__} {cause}".split()), secrets)
    else:
        answered, what = f"answered {status}", page or text
    return Failure(
        error=kind(
            f"{asked} {answered}{': ' if what else ''}{what[:300]}",
            retry_after=wait,
            hint=_hint(kind, status, text, key_variable),
        ),
        status=status,
        code=code,
        param=str(getattr(exc, "param", None) or _location(body)),
        text=text,
        try_again=_may_try_again(kind, status, code, response_headers)
        and not is_about_messages(text),
    )


def _only_item(body: object) -> object:
    """Unpack the list of one error in which Gemini answers."""
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], dict):
        return body
    return body[0].get("error") or body[0]


def _hint(
    error: type[errors.LLMError], status: int | None, text: str, key_variable: str
) -> str | None:
    """Return what helps against this cause, where the hint of its class does not."""
    if status in (403, 407, 402) and error in (errors.AuthenticationError, errors.RateLimitError):
        return _HINTS[status]
    if error is errors.AuthenticationError:
        return key_hint(key_variable)
    if error is errors.BadRequestError and (status == 413 or is_about_length(text)):
        return _SIZE_HINT
    return None


def failure_in_body(
    body: Mapping[str, Any], *, asked: str, headers: Mapping[str, Any], key_variable: str
) -> Failure | None:
    """Return the error that some servers put into an answer with status 200, if there is one.

    The arguments are those of :func:`failure_from`.
    """
    error = _error_in(body)
    if error is None:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = int(str(code)) if re.fullmatch(r"[45][0-9]{2}", str(code)) else None
    text = redacted(_words(error), _secrets(headers))
    kind = _BY_CODE.get(str(code)) or class_for_status(status or 500)
    return Failure(
        error=kind(
            f"{asked} answered with an error: {text[:300]}",
            hint=_hint(kind, status, text, key_variable),
            retry_after=retry_after({}, error),
        ),
        status=status,
        code=str(code or ""),
        text=text,
    )


def _error_in(body: Mapping[str, Any]) -> Any:
    """Return the error in a body without an answer, wherever it stands."""
    choices = [c for c in body.get("choices") or () if isinstance(c, dict)]
    messages = [c["message"] for c in choices if isinstance(c.get("message"), dict)]
    if body.get("output") or any(m.get("content") or m.get("refusal") for m in messages):
        return None
    if body.get("error"):
        return body["error"]
    inner = next((c["error"] for c in [*choices, *messages] if c.get("error")), None)
    if inner is not None or "choices" in body or "output" in body:
        return inner
    # vLLM, FastAPI and Cloudflare have forms of their own; {} says nothing.
    return dict(body) or None


def class_for_status(status: int) -> type[errors.LLMError]:
    """Return the error for an HTTP status, where nothing else is known."""
    if status in (401, 403, 407):
        return errors.AuthenticationError
    if status in (402, 429):  # OpenRouter and DeepSeek answer 402 when the account is empty
        return errors.RateLimitError
    if status in (404, 405):
        return errors.ModelNotFoundError
    if status == 408:
        return errors.CallTimeoutError
    if status == 409 or status >= 500:
        return errors.ServerError
    return errors.BadRequestError if status >= 400 else errors.LLMError


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Remove keys from a text: known ones, and what looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"://[^/@\s]+@", "://***@", text)
    return _KEY_LIKE.sub("***", text)


def retry_after(headers: Mapping[str, str], body: object = None) -> float | None:
    """Return the seconds until the endpoint wants to be asked again, if it says so."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    if date is not None:
        return max(0.0, email.utils.mktime_tz(date) - time.time())
    said = _RETRY.search(json.dumps(body, default=str)[:10_000]) if body else None
    if said is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in said.groups()[:3])
    return 3600 * hours + 60 * minutes + seconds / (1000 if said[4] else 1)


def _error_class(
    exc: Exception, status: int | None, code: str, text: str
) -> type[errors.LLMError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 400 and _ABOUT_KEY.search(text):
        return errors.AuthenticationError
    if status == 400 and _ABOUT_UNKNOWN_MODEL.search(text):
        return errors.ModelNotFoundError
    if isinstance(exc, TypeError) and "authentication method" in str(exc):
        return errors.AuthenticationError
    # Nothing listens there; "raise the timeout" would be the wrong hint.
    if type(exc.__cause__).__name__ == "ConnectTimeout":
        return errors.ConnectionFailedError
    known = (_WITHOUT_STATUS[base] for base in type(exc).__mro__ if base in _WITHOUT_STATUS)
    return next(known, errors.LLMError if status is None else class_for_status(status))


def _may_try_again(
    error: type[errors.LLMError], status: int | None, code: str, headers: Mapping[str, str]
) -> bool:
    if code == "insufficient_quota" or headers.get("x-should-retry") == "false":
        return False
    if status is None:
        return error is errors.ConnectionFailedError
    return status in (408, 409, 429) or (status >= 500 and status != 501)


def _words(body: object, depth: int = 0) -> str:
    """Return what the endpoint says, in one line, with what the provider behind it says."""
    behind = ""
    if isinstance(body, dict) and isinstance(body.get("message"), str) and body["message"]:
        behind = _words_behind(body.get("metadata"), depth)
        body = body["message"]
    elif body is not None and not isinstance(body, str):
        body = json.dumps(body, default=str)
    if not isinstance(body, str) or is_page(body):
        return behind
    said = " ".join(body[:2000].split())
    return f"{said}: {behind}" if behind and behind not in said else said


def _words_behind(metadata: object, depth: int) -> str:
    """Return what a provider said to OpenRouter or another gateway, which passes it on."""
    if not isinstance(metadata, dict) or depth > 3:
        return ""
    raw = metadata.get("raw")
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return f"{_words(raw)}{page_title(raw) if is_page(raw) else ''}".strip()
    if isinstance(raw, dict):
        return _words(raw["error"] if raw.get("error") else raw, depth + 1)
    return ""


def _location(body: object) -> str:
    """Return the parameter in an error of pydantic's, which vLLM and Mistral pass on."""
    if isinstance(body, dict):
        place = body.get("loc")
        if isinstance(place, list):
            return next((str(part) for part in place if part != "body"), "")
        body = list(body.values())
    if isinstance(body, list):
        return next((found for item in body if (found := _location(item))), "")
    return ""


def _secrets(headers: Mapping[str, Any]) -> set[str]:
    values = [str(value) for name, value in headers.items() if _SECRET_HEADER.search(name)]
    parts = {part for value in values for part in value.split()}
    return {part for part in parts if len(part) >= 4 and part.lower() not in _NO_SECRETS}
