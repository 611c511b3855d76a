"""Who offers models over the OpenAI-compatible API: where, for which key, and what is special.

One row per prefix of a model's name, as in ``LLMSampler("anthropic/claude-sonnet-5")``. A row
says only what is known beforehand, so that no request is wasted on it. Whatever else an endpoint
refuses is learned from its refusals (``openai/refusals.py``). Sources: the documentation of the
providers and the issue trackers of their users, read in November 2026.

No row lists keywords of JSON schema: of those that providers refuse (bounds, lengths, patterns),
our schemas use none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import os
from typing import Literal
from urllib.parse import urlsplit


OutputMode = Literal["json_schema", "json_object", "text"]

# What only servers of one's own know: llama.cpp the first; vLLM and SGLang the others, without
# which they do not go on from a given beginning.
EXTRAS = ("grammar", "continue_final_message", "add_generation_prompt")


@dataclass(frozen=True)
class Provider:
    """What is known of a provider before the first request."""

    prefix: str  # what stands before the slash in a model's name
    base_url: str  # address of the API; empty where the user gives it
    key_variable: str  # environment variable with the key
    needs_key: bool = True  # whether nothing is answered without a key
    url_variable: str = ""  # environment variable with another address, or empty
    output_mode: OutputMode = "json_schema"  # the best way to ask for JSON that it takes
    # Parameters that are not sent, because it refuses or ignores them.
    refuses: frozenset[str] = frozenset(EXTRAS)
    # Whether models spend tokens of the limit before they answer, unless told not to.
    reasons: bool = False

    def address(self) -> str:
        """Return the address, as the environment or the table has it."""
        given = os.environ.get(self.url_variable, "").strip() if self.url_variable else ""
        return (
            _full_url(given, self.base_url) if given and self.base_url else given or self.base_url
        )

    def key(self) -> str:
        """Return the key in the environment, or an empty text."""
        return os.environ.get(self.key_variable, "").strip()


OPENAI = Provider("openai", "", "OPENAI_API_KEY", url_variable="OPENAI_BASE_URL")
AZURE = Provider("azure", "", "AZURE_OPENAI_API_KEY")

PROVIDERS: Mapping[str, Provider] = {
    provider.prefix: provider
    for provider in (
        # Ignores response_format and seed, takes n=1 only. Newer models refuse `temperature` and
        # a given beginning, which is learned.
        Provider(
            "anthropic",
            "https://api.anthropic.com/v1",
            "ANTHROPIC_API_KEY",
            output_mode="text",
            refuses=frozenset({*EXTRAS, "n", "seed"}),
        ),
        # Counts thoughts in the limit and in total_tokens, not in completion_tokens. Errors come
        # in a list; a wrong key is a 400. Its newer models refuse n > 1 without naming `n`.
        Provider(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "GEMINI_API_KEY",
            refuses=frozenset({*EXTRAS, "n", "seed"}),
            reasons=True,
        ),
        # Refuses every parameter that it does not know; its seed has another name.
        Provider(
            "mistral",
            "https://api.mistral.ai/v1",
            "MISTRAL_API_KEY",
            refuses=frozenset({*EXTRAS, "seed", "max_completion_tokens"}),
        ),
        # Only some models take a schema, which is learned.
        Provider(
            "groq",
            "https://api.groq.com/openai/v1",
            "GROQ_API_KEY",
            refuses=frozenset({*EXTRAS, "n"}),
        ),
        # Has JSON mode only. An empty account is a 402, an unknown model a 400.
        Provider(
            "deepseek",
            "https://api.deepseek.com",
            "DEEPSEEK_API_KEY",
            output_mode="json_object",
            refuses=frozenset({*EXTRAS, "n", "seed"}),
            reasons=True,
        ),
        # Passes on the errors of the providers behind it, also within answers of status 200.
        Provider("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        Provider("together", "https://api.together.ai/v1", "TOGETHER_API_KEY"),
        # Does not count reasoning in completion_tokens. A wrong key is a 400. Models that reason
        # refuse `stop`, which is learned.
        Provider("xai", "https://api.x.ai/v1", "XAI_API_KEY", reasons=True),
        # Ignores what it does not know, n among it.
        Provider(
            "ollama",
            "http://localhost:11434/v1",
            "OLLAMA_API_KEY",
            needs_key=False,
            url_variable="OLLAMA_HOST",
            refuses=frozenset({*EXTRAS, "n"}),
        ),
        # Refuses JSON mode, but takes schemas.
        Provider(
            "lmstudio",
            "http://localhost:1234/v1",
            "LM_API_TOKEN",
            needs_key=False,
            url_variable="LMSTUDIO_BASE_URL",
            refuses=frozenset({*EXTRAS, "n"}),
        ),
        Provider(
            "vllm",
            "http://localhost:8000/v1",
            "VLLM_API_KEY",
            needs_key=False,
            url_variable="VLLM_BASE_URL",
            refuses=frozenset(),
        ),
    )
}


def key_hint(variable: str) -> str:
    """Return what a user can do about a key that is missing or wrong."""
    return f"Set {variable}, or hand over a client that has a valid key."


def provider_at(url: str) -> Provider | None:
    """Return the provider of the table whose address this is, if there is one."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    return next((p for p in PROVIDERS.values() if urlsplit(p.base_url).netloc == place), None)


def _full_url(given: str, usual: str) -> str:
    """Complete an address such as Ollama takes: ``0.0.0.0``, ``box:11434``, ``https://box``."""
    parts, default = urlsplit(given if "://" in given else f"http://{given}"), urlsplit(usual)
    host = parts.hostname or default.hostname or ""
    host = f"[{host}]" if ":" in host else host.replace("0.0.0.0", "localhost")
    ports = {"http": default.port, "https": None}
    port = parts.port or ports.get(parts.scheme)
    place = f"{host}:{port}" if port else host
    return f"{parts.scheme}://{place}{parts.path.rstrip('/') or default.path}"
