"""What one call to a model took: tokens, seconds, money. Plain data, to and from JSON."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import json
import time
from typing import Any

from ..errors import CallTimeoutError
from ..errors import OptunaLLMError
from ..errors import TokenUsage
from ..llms.base import Completion
from ..llms.base import LLM
from ..llms.base import Request


# Tokenisers differ; prompts made of names, numbers and JSON have 3 to 4 bytes per token, and a
# budget is better kept by counting a few too many.
_BYTES_PER_TOKEN = 3


@dataclass(frozen=True)
class Call:
    """What one call to the model took. :obj:`None` where it is not known.

    Attributes:
        model:
            Who answered, in the endpoint's words; without an answer, who was asked.
        asked:
            Who was asked: the name of the back end.
        purpose:
            What for: ``"advice"``, ``"suggest"`` or ``"explain"``.
        at:
            When it ended, in seconds since the epoch; 0 where it is not known.
        seconds:
            How long it took.
        requests:
            How many requests it was: a useless answer is asked for once more.
        input_tokens, output_tokens, cached_tokens:
            As the endpoint counts them, also those of an answer that could not be used.
        estimated:
            Whether some of them are estimates, because the endpoint does not count.
        usd:
            What it cost.
    """

    model: str = ""
    seconds: float = 0.0
    requests: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    asked: str = ""
    purpose: str = "advice"
    at: float = 0.0
    estimated: bool = False
    usd: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens in and out, as far as known."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)


def complete(llm: LLM, request: Request, call: Call) -> tuple[Completion | OptunaLLMError, Call]:
    """Make a request; return what came of it, and the call with what this request took."""
    begin = time.monotonic()
    try:
        outcome: Completion | OptunaLLMError = llm.complete(request)
    except OptunaLLMError as error:
        outcome = error
    taken = _counted(request, outcome)
    return outcome, replace(
        call,
        model=outcome.model or call.model if isinstance(outcome, Completion) else call.model,
        seconds=round(call.seconds + time.monotonic() - begin, 3),
        requests=call.requests + 1,
        input_tokens=_sum(call.input_tokens, taken.input_tokens),
        output_tokens=_sum(call.output_tokens, taken.output_tokens),
        cached_tokens=_sum(call.cached_tokens, taken.cached_tokens),
        at=round(time.time(), 3),
        estimated=call.estimated or taken != outcome.usage,
    )


def _counted(request: Request, outcome: Completion | OptunaLLMError) -> TokenUsage:
    """Return the tokens as the endpoint counts them, else an estimate, else nothing."""
    guess = TokenUsage()
    if isinstance(outcome, Completion):
        guess = estimate(request, outcome.texts)
    elif isinstance(outcome, CallTimeoutError):
        # It was sent, and is paid for, as far as anybody knows.
        guess = TokenUsage(input_tokens=estimate(request).input_tokens)
    known = outcome.usage
    return TokenUsage(
        guess.input_tokens if known.input_tokens is None else known.input_tokens,
        guess.output_tokens if known.output_tokens is None else known.output_tokens,
        known.cached_tokens,
    )


def estimate(request: Request, texts: Iterable[str] = ()) -> TokenUsage:
    """Estimate tokens from the length of what was sent and received."""
    sent = sum(_size(message["content"]) for message in request.messages)
    if request.schema is not None:
        sent += len(json.dumps(request.schema))
    return TokenUsage(_tokens(sent), _tokens(sum(map(_size, texts))))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _tokens(n_bytes: int) -> int:
    return -(-n_bytes // _BYTES_PER_TOKEN)


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None and b is None else (a or 0) + (b or 0)


# --- from the storage, where anything may lie ------------------------------------------------


def read_call(value: Any) -> Call:
    """Read what was written of a call, by this or another version.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, Mapping):
        raise ValueError("no call")
    keys = ("input_tokens", "output_tokens", "cached_tokens")
    tokens = {k: None if value.get(k) is None else read_count(value[k]) for k in keys}
    usd = value.get("usd")
    return Call(
        model=read_text(value.get("model", "")),
        asked=read_text(value.get("asked", "")),
        purpose=read_text(value.get("purpose", "advice"))[:40],
        at=read_number(value.get("at", 0.0)),
        seconds=read_number(value.get("seconds", 0.0)),
        requests=read_count(value.get("requests", 0)),
        estimated=value.get("estimated") is True,
        usd=None if usd is None else read_number(usd),
        **tokens,
    )


def read_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ValueError("not a count")
    return value


def read_number(value: Any) -> float:
    """Read a number of seconds or dollars."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ValueError("not a number of seconds or dollars")
    return float(value)


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value[:200]
