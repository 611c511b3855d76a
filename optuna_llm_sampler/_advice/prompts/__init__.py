"""A question → one request, in the form that suits the model.

``json`` is for large models: bounds, reasons, structured output. ``code`` is for small models:
no bounds and several short answers to one reading of the prompt (decisions.md, "What small models
are shown"); ``script`` is the same without a chat around it. The stable part comes first, so that
prompt caches work.
"""

from __future__ import annotations

from ...llms.base import Request
from ...llms.style import as_style, Style
from ..question import Question
from .code import build_code
from .json_style import build_json


def build(question: Question, style: Style | str) -> Request:
    """Return the request for a question in the given style."""
    style = as_style(style)
    return build_code(question, style) if style.samples else build_json(question, style)


def prefill(request: Request) -> str:
    """Return the beginning of the answer that the request contains, or ``""``."""
    last = request.messages[-1]
    return last["content"] if last["role"] == "assistant" else ""
