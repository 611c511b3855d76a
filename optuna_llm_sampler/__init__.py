"""A language model's knowledge in your Optuna study, with a classical sampler exploring."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, TYPE_CHECKING

from ._sampler.default_base import DefaultBaseSampler
from ._sampler.record_failures import record_failures
from ._sampler.sampler import LLMSampler
from ._store.calls import CallHook, CallRecord, calls, Usage, usage
from ._store.prices import Budget, Price


if TYPE_CHECKING:
    from ._objective.read import ObjectiveSpace, search_space_of
    from ._proposal.proposal import ProposedSpace
    from ._proposal.propose import propose_space
    from ._proposal.review import review_space
    from .llms.local.client import LocalLLM
    from .llms.openai.client import AzureOpenAI, OpenAI
    from .llms.replay import Recorder, Replay
    from .llms.transformers import TransformersLLM


__all__ = [
    "AzureOpenAI",
    "Budget",
    "CallHook",
    "CallRecord",
    "calls",
    "DefaultBaseSampler",
    "LLMSampler",
    "LocalLLM",
    "ObjectiveSpace",
    "OpenAI",
    "Price",
    "propose_space",
    "ProposedSpace",
    "record_failures",
    "Recorder",
    "Replay",
    "review_space",
    "search_space_of",
    "TransformersLLM",
    "Usage",
    "usage",
]

_LAZY = {
    "AzureOpenAI": "llms.openai.client",
    "LocalLLM": "llms.local.client",
    "ObjectiveSpace": "_objective.read",
    "OpenAI": "llms.openai.client",
    "propose_space": "_proposal.propose",
    "ProposedSpace": "_proposal.proposal",
    "Recorder": "llms.replay",
    "Replay": "llms.replay",
    "review_space": "_proposal.review",
    "search_space_of": "_objective.read",
    "TransformersLLM": "llms.transformers",
}


def __getattr__(name: str) -> Any:
    """Import on first use what most do not need: ``import openai`` alone takes a second."""
    if name == "__version__":
        return version("optuna-llm-sampler")
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
