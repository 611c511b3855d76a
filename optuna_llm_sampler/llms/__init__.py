"""Language models and the one protocol they share."""

from ._types import Completion
from ._types import LLM
from ._types import Message
from ._types import Request
from ._types import Style
from ._types import Usage


__all__ = ["Completion", "LLM", "Message", "Request", "Style", "Usage"]
