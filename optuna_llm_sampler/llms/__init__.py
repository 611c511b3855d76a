"""Language models and the one protocol they share."""

from ..errors import TokenUsage
from .base import Completion, LLM, Message, Request
from .style import CODE, JSON, SCRIPT, Style


__all__ = [
    "CODE",
    "Completion",
    "JSON",
    "LLM",
    "Message",
    "Request",
    "SCRIPT",
    "Style",
    "TokenUsage",
]
