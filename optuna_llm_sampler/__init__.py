"""A language model's knowledge in your Optuna study, with a classical sampler exploring."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from typing import TYPE_CHECKING

from ._base_sampler import DefaultBaseSampler
from ._budget import Budget
from ._ledger import CallHook
from ._ledger import CallRecord
from ._ledger import calls
from ._prices import Price
from ._record_failures import record_failures
from ._sampler import LLMSampler
from ._usage import Usage
from ._usage import usage


if TYPE_CHECKING:
    from .llms._local import LocalLLM
    from .llms._openai import AzureOpenAI
    from .llms._openai import OpenAI
    from .llms._record import Recorder
    from .llms._record import Replay
    from .llms._transformers import TransformersLLM


__all__ = [
    "AzureOpenAI",
    "Budget",
    "CallHook",
    "CallRecord",
    "DefaultBaseSampler",
    "LLMSampler",
    "LocalLLM",
    "OpenAI",
    "Price",
    "record_failures",
    "Recorder",
    "Replay",
    "TransformersLLM",
    "Usage",
    "calls",
    "usage",
]

_LAZY = {
    "AzureOpenAI": "_openai",
    "LocalLLM": "_local",
    "OpenAI": "_openai",
    "Recorder": "_record",
    "Replay": "_record",
    "TransformersLLM": "_transformers",
}


def __getattr__(name: str) -> Any:
    """Import back ends and the version on first use: ``import openai`` alone takes a second."""
    if name == "__version__":
        return version("optuna-llm-sampler")
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".llms.{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
