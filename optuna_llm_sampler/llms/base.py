"""The seam between the sampler and every language model: one request, one completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable, TypedDict

from ..errors import TokenUsage


class Message(TypedDict):
    """One message, in the form that every chat endpoint takes."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Request:
    """One question to a model, as plain data.

    Attributes:
        messages:
            The conversation. When the last message is the assistant's, it is the beginning of the
            answer, and the model goes on from there (its text is not repeated in the completion).
        schema:
            JSON schema of the answer. A back end that can enforce it does; the caller validates
            the answer in any case. :obj:`None` when the answer is not JSON.
        grammar:
            Lark grammar of the continuation (llguidance's dialect), for back ends with constrained
            decoding. Others ignore it.
        stop:
            Texts at which the answer ends.
        n:
            How many independent answers are wanted for one reading of the prompt.
        max_tokens:
            Upper limit of one answer, in tokens.
        temperature:
            Sampling temperature, or :obj:`None` for the endpoint's default.
        seed:
            Passed on to endpoints that take one. No endpoint promises the same answer for it.
        timeout:
            Longest time for the whole call, in seconds.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    max_tokens: int = 4096
    temperature: float | None = None
    seed: int | None = None
    timeout: float = 60.0


def together(first: TokenUsage, second: TokenUsage) -> TokenUsage:
    """Add what two calls took."""

    def add(a: int | None, b: int | None) -> int | None:
        return None if a is None and b is None else (a or 0) + (b or 0)

    return TokenUsage(
        add(first.input_tokens, second.input_tokens),
        add(first.output_tokens, second.output_tokens),
        add(first.cached_tokens, second.cached_tokens),
    )


@dataclass(frozen=True)
class Completion:
    """What came back: as many texts as the endpoint gave, at least one, at most ``n``."""

    texts: tuple[str, ...]
    usage: TokenUsage = TokenUsage()
    model: str = ""
    finish_reason: str = "stop"


def joined(parts: Sequence[Completion]) -> Completion:
    """Put the answers of several calls on the same question together."""
    first = parts[0].usage
    spent = [part.usage.output_tokens for part in parts if part.usage.output_tokens is not None]
    return Completion(
        texts=tuple(text for part in parts for text in part.texts),
        usage=replace(first, output_tokens=sum(spent) if spent else None),
        model=parts[0].model,
        finish_reason="stop" if any(p.finish_reason == "stop" for p in parts) else "length",
    )


def until(text: str, stops: Sequence[str]) -> str:
    """Cut a text at the first of the texts at which the answer ends."""
    for stop in stops:
        text = text.split(stop, 1)[0] if stop else text
    return text


@runtime_checkable
class LLM(Protocol):
    """Anything that answers a :class:`Request`.

    A back end may also have an attribute ``style`` (a :class:`Style` or its name), which says in
    what form it is best asked; without it, it is asked for JSON. It raises
    :class:`~optuna_llm_sampler.errors.LLMError` or a subclass when there is no answer, and must be
    callable from several threads.
    """

    @property
    def name(self) -> str:
        """A short name for logs and trial attributes; never contains a key."""
        ...

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises:
            OptunaLLMError: There is no usable answer.
        """
        ...
