"""What is known of an endpoint, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from ..base import Request
from ..providers import AZURE, EXTRAS, OPENAI, OutputMode, Provider, provider_at


Api = Literal["responses", "chat"]

# From the best to the one that every endpoint takes.
OUTPUT_MODES: tuple[OutputMode, ...] = ("json_schema", "json_object", "text")

_OWN_HOSTS = ("api.openai.com", "openai.azure.com", "services.ai.azure.com")
# Token limit of a model that reasons, or has spent a limit without an answer.
_ROOM_FACTOR, _LEAST_ROOM, _MOST_ROOM = 4, 4_096, 16_384


@dataclass(frozen=True)
class EndpointProfile:
    """What one endpoint takes for one model."""

    api: Api  # which of the two APIs is spoken
    limit_names: tuple[str, ...]  # the names that the token limit may have, best first
    output_mode: OutputMode = "json_schema"  # how JSON is asked for
    own: bool = True  # whether it is OpenAI's or Azure's own endpoint
    dropped: frozenset[str] = frozenset()  # parameters that are not sent
    ceiling: int | None = None  # the highest token limit that it takes, as far as it was said
    # Whether the model spends tokens before it answers, and needs a higher limit.
    roomy: bool = False
    # Whether a system message, and a last message of the assistant's, are taken.
    takes_system: bool = True
    takes_prefill: bool = True

    def lowered(self) -> EndpointProfile:
        """Return the profile with the next output mode, as far as there is one."""
        modes = OUTPUT_MODES[OUTPUT_MODES.index(self.output_mode) + 1 :]
        return replace(self, output_mode=modes[0] if modes else self.output_mode)

    def merged(self, other: EndpointProfile) -> EndpointProfile:
        """Return both together: what two threads have learned at the same time."""
        if self.api != other.api:
            return self if self.api == "chat" else other
        ceilings = [c for c in (self.ceiling, other.ceiling) if c is not None]
        return replace(
            self,
            output_mode=max(self.output_mode, other.output_mode, key=OUTPUT_MODES.index),
            dropped=self.dropped | other.dropped,
            ceiling=min(ceilings, default=None),
            roomy=self.roomy or other.roomy,
            takes_system=self.takes_system and other.takes_system,
            takes_prefill=self.takes_prefill and other.takes_prefill,
        )


def is_own_endpoint(url: str) -> bool:
    """Tell whether OpenAI or Azure answers there, which have the newest API and names."""
    host = urlsplit(url).hostname or ""
    return any(host == own or host.endswith(f".{own}") for own in _OWN_HOSTS)


def first_profile(
    provider: Provider, url: str, *, use_chat_completions_api: bool | None = None
) -> EndpointProfile:
    """Return how an endpoint is asked for the first time."""
    own = provider == AZURE or is_own_endpoint(url)
    chat = not own if use_chat_completions_api is None else use_chat_completions_api
    api: Api = "chat" if chat else "responses"
    if own:
        names = ("max_completion_tokens", "max_tokens")
        return EndpointProfile(api, names, dropped=frozenset(EXTRAS))
    known = provider_at(url) if provider == OPENAI else provider
    return EndpointProfile(
        api,
        ("max_tokens", "max_completion_tokens"),
        output_mode=known.output_mode if known else "json_schema",
        own=False,
        dropped=known.refuses if known else frozenset(),
        roomy=known is not None and known.reasons,
    )


def token_limit(request: Request, profile: EndpointProfile) -> int:
    """Return the limit of tokens that is sent."""
    limit = request.max_tokens
    if profile.roomy:
        limit = max(limit, min(max(_ROOM_FACTOR * limit, _LEAST_ROOM), _MOST_ROOM))
    return limit if profile.ceiling is None else min(limit, profile.ceiling)
