"""Language models and the one protocol they share."""

from ._style import CODE
from ._style import JSON
from ._style import SCRIPT
from ._style import Style
from ._types import Completion
from ._types import LLM
from ._types import Message
from ._types import Request
from ._types import Usage


__all__ = [
    "CODE",
    "Completion",
    "JSON",
    "LLM",
    "Message",
    "Request",
    "SCRIPT",
    "Style",
    "Usage",
]
