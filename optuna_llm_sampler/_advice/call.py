"""One call to a model, and what it took: tokens, seconds, money."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
import json
import math
import time
from typing import TypeVar

from ..errors import CallTimeoutError, OptunaLLMError, TokenUsage
from ..llms.base import Completion, LLM, Request


_Number = TypeVar("_Number", int, float)

# Prompts made of names, numbers and JSON have 3 to 4 bytes per token. The lower number
# overestimates, which keeps a budget.
_BYTES_PER_TOKEN = 3


@dataclass(frozen=True)
class Call:
    """What one call to the model took so far.

    The fields are described at :class:`~optuna_llm_sampler.CallRecord`.
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


def total_of(calls: Sequence[Call]) -> Call:
    """Sum up calls, as far as each quantity is known. The model is that of the last call."""
    return Call(
        model=next((call.model for call in reversed(calls) if call.model), ""),
        seconds=round(math.fsum(call.seconds for call in calls), 3),
        requests=sum(call.requests for call in calls),
        input_tokens=_sum_of_known(call.input_tokens for call in calls),
        output_tokens=_sum_of_known(call.output_tokens for call in calls),
        cached_tokens=_sum_of_known(call.cached_tokens for call in calls),
        estimated=any(call.estimated for call in calls),
        usd=_sum_of_known(call.usd for call in calls),
    )


def _sum_of_known(amounts: Iterable[_Number | None]) -> _Number | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def complete(llm: LLM, request: Request, call: Call) -> tuple[Completion | OptunaLLMError, Call]:
    """Make a request; return its outcome, and the call with this request added."""
    begin = time.monotonic()
    try:
        outcome: Completion | OptunaLLMError = llm.complete(request)
    except OptunaLLMError as error:
        outcome = error
    tokens = _counted(request, outcome)
    made = Call(
        model=outcome.model if isinstance(outcome, Completion) else "",
        seconds=time.monotonic() - begin,
        requests=1,
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cached_tokens=tokens.cached_tokens,
        estimated=tokens != outcome.usage,
    )
    total = total_of([call, made])
    return outcome, replace(
        total, asked=call.asked, purpose=call.purpose, at=round(time.time(), 3)
    )


def _counted(request: Request, outcome: Completion | OptunaLLMError) -> TokenUsage:
    """Return tokens as the endpoint counts them, else an estimate if the request was sent."""
    guess = TokenUsage()
    if isinstance(outcome, Completion):
        guess = estimate(request, outcome.texts)
    elif isinstance(outcome, CallTimeoutError):
        # It was sent, and probably has to be paid for.
        guess = TokenUsage(input_tokens=estimate(request).input_tokens)
    known = outcome.usage
    return TokenUsage(
        guess.input_tokens if known.input_tokens is None else known.input_tokens,
        guess.output_tokens if known.output_tokens is None else known.output_tokens,
        known.cached_tokens,
    )


def estimate(request: Request, texts: Iterable[str] = ()) -> TokenUsage:
    """Estimate tokens from the bytes sent and received."""
    sent = sum(_size(message["content"]) for message in request.messages)
    if request.schema is not None:
        sent += len(json.dumps(request.schema))
    return TokenUsage(_tokens(sent), _tokens(sum(map(_size, texts))))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _tokens(n_bytes: int) -> int:
    return -(-n_bytes // _BYTES_PER_TOKEN)
