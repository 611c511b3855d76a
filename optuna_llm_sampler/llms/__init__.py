"""Language models and the one protocol they share."""

from ..errors import TokenUsage
from .base import Completion
from .base import LLM
from .base import Message
from .base import Request
from .style import CODE
from .style import JSON
from .style import SCRIPT
from .style import Style


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
