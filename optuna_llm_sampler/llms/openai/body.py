"""From a :class:`Request` to the body that an endpoint takes. Pure functions of plain data."""

from __future__ import annotations

import json
from typing import Any

from ..base import Message, Request
from .profile import EndpointProfile, token_limit


_INSTRUCTION = (
    "Answer with one JSON object that follows this JSON schema, and with nothing else:\n{schema}"
)


def parameters(request: Request, profile: EndpointProfile) -> dict[str, Any]:
    """Return the arguments of the SDK's ``create``, without the model."""
    messages = messages_of(request, profile)
    if profile.api == "chat":
        fixed: dict[str, Any] = {"messages": messages}
        optional = _chat_options(request, profile)
        if messages and messages[-1]["role"] == "assistant":
            optional |= {"continue_final_message": True, "add_generation_prompt": False}
    else:
        fixed = {"input": messages}
        optional = _responses_options(request, profile)
    return fixed | {
        name: value
        for name, value in optional.items()
        if value is not None and name not in profile.dropped
    }


def messages_of(request: Request, profile: EndpointProfile) -> list[Message]:
    """Return the messages without the kinds that the endpoint refuses, with the schema in words
    where it takes none."""
    messages = list(request.messages)
    if not profile.takes_prefill and messages and messages[-1]["role"] == "assistant":
        messages.pop()
    if not profile.takes_system:
        system = [m["content"] for m in messages if m["role"] == "system"]
        messages = [m for m in messages if m["role"] != "system"]
        messages = _with_user_text(messages, "\n\n".join(system), at_end=False)
    if request.schema is not None and profile.output_mode != "json_schema":
        schema = json.dumps(request.schema, separators=(",", ":"))
        # At the end of the last question: some chat templates refuse a second system message, and
        # the prefix that providers cache stays the same.
        messages = _with_user_text(messages, _INSTRUCTION.format(schema=schema), at_end=True)
    return messages


def _with_user_text(messages: list[Message], text: str, *, at_end: bool) -> list[Message]:
    """Add text before what the user says first, or after what the user says last."""
    places = [i for i, message in enumerate(messages) if message["role"] == "user"]
    if not text:
        return messages
    if not places:
        added = Message(role="user", content=text)
        return [*messages, added] if at_end else [added, *messages]
    i = places[-1 if at_end else 0]
    said = messages[i]["content"]
    content = f"{said}\n\n{text}" if at_end else f"{text}\n\n{said}"
    return [*messages[:i], Message(role="user", content=content), *messages[i + 1 :]]


def _chat_options(request: Request, profile: EndpointProfile) -> dict[str, Any]:
    form = _format(request, profile)
    if form is not None and "schema" in form:
        form = {"type": form.pop("type"), "json_schema": form}
    options = {
        "temperature": request.temperature,
        "seed": request.seed,
        "n": request.n if request.n > 1 else None,
        "stop": list(request.stop[:4]) or None,  # OpenAI takes four; the rest is cut by us.
        "response_format": form,
        "grammar": request.grammar,
    }
    limit = next((name for name in profile.limit_names if name not in profile.dropped), None)
    return options if limit is None else options | {limit: token_limit(request, profile)}


def _responses_options(request: Request, profile: EndpointProfile) -> dict[str, Any]:
    form = _format(request, profile)
    return {
        "store": False,  # The history of somebody's study need not lie on a server.
        "temperature": request.temperature,
        "max_output_tokens": token_limit(request, profile),
        "text": None if form is None else {"format": form},
    }


def _format(request: Request, profile: EndpointProfile) -> dict[str, Any] | None:
    if request.schema is None or profile.output_mode == "text":
        return None
    if profile.output_mode == "json_object":
        return {"type": "json_object"}
    schema = dict(request.schema)
    return {"type": "json_schema", "name": "answer", "strict": True, "schema": schema}
