"""``llm="openai/gpt-5-mini"`` → a back end. Imports nothing heavy until a back end is used."""

from __future__ import annotations

from collections.abc import Callable
import os

from ..errors import TurnedOffError
from .base import LLM
from .providers import PROVIDERS


_FORMS = (
    '"openai/<model>", "azure/<deployment>", "local", "local/<name or path.gguf>", '
    '"hf/<hub id or folder>", "off", '
    + ", ".join(f'"{prefix}/<model>"' for prefix in PROVIDERS)
    + ", or an object with a method complete(request)"
)
_OFF = frozenset({"off", "none", "0"})


def turned_off(llm: str | LLM | None) -> str:
    """Say in words what turns the model off: the environment or ``llm`` itself; ``""`` if neither.

    ``OPTUNA_LLM=off`` goes before what a program names, so that it can be turned off from outside.
    """
    named = os.environ.get("OPTUNA_LLM", "")
    if _means_off(named):
        return f"OPTUNA_LLM={named!r}"
    return f"llm={llm!r}" if isinstance(llm, str) and _means_off(llm) else ""


def _means_off(text: str) -> bool:
    return text.strip().lower() in _OFF


def resolve(llm: str | LLM | None) -> tuple[str, Callable[[], LLM]]:
    """Return how a back end was chosen, in words, and a function that builds it.

    Args:
        llm:
            What the user gave. :obj:`None`: ``OPTUNA_LLM`` from the environment if set, else
            OpenAI's SDK if ``OPENAI_API_KEY`` or ``OPENAI_BASE_URL`` is set, else local weights.
            A model that is turned off cannot be built (:class:`TurnedOffError`).

    Raises:
        ValueError: ``llm`` is of no known form.
    """
    if off := turned_off(llm):
        return off, lambda: _refuse(off)
    if llm is None:
        return _from_environment()
    if isinstance(llm, str):
        return f"llm={llm!r}", _from_string(llm)
    if not callable(getattr(llm, "complete", None)):
        raise ValueError(f"llm must be {_FORMS}; got {type(llm).__name__}.")
    return "the object given as llm=", lambda: llm


def _refuse(off: str) -> LLM:
    raise TurnedOffError(f"The language model is turned off ({off}).")


def _from_environment() -> tuple[str, Callable[[], LLM]]:
    named = os.environ.get("OPTUNA_LLM")
    if named:
        return f"OPTUNA_LLM={named!r}", _from_string(named)
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        if os.environ.get(variable):
            return f"{variable} is set", _from_string(f"openai/{_DEFAULT_OPENAI}")
    return "neither OPTUNA_LLM nor OPENAI_API_KEY is set", _from_string("local")


_DEFAULT_OPENAI = "gpt-5-mini"


def _from_string(text: str) -> Callable[[], LLM]:
    kind, _, rest = text.partition("/")
    if kind == "local":
        return lambda: _local(rest or None)
    if not rest or kind not in (*_BUILDERS, *PROVIDERS):
        raise ValueError(f"llm must be {_FORMS}; got {text!r}.")
    return lambda: _BUILDERS[kind](rest) if kind in _BUILDERS else _provided(kind, rest)


def _local(model: str | None) -> LLM:
    from .local.client import LocalLLM

    return LocalLLM(model)


def _openai(model: str) -> LLM:
    from .openai.client import OpenAI

    return OpenAI(model=model)


def _azure(model: str) -> LLM:
    from .openai.client import AzureOpenAI

    return AzureOpenAI(model=model)


def _transformers(model: str) -> LLM:
    from .transformers import TransformersLLM

    return TransformersLLM(model)


def _provided(prefix: str, model: str) -> LLM:
    from .openai.client import ProviderLLM

    return ProviderLLM(PROVIDERS[prefix], model)


_BUILDERS: dict[str, Callable[[str], LLM]] = {
    "openai": _openai,
    "azure": _azure,
    "hf": _transformers,
}
