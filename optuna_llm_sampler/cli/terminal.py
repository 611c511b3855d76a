"""What a command shows while it waits, and the model it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import sys

import optuna

from .._sampler import progress as _progress
from ..llms.base import LLM
from ..llms.registry import resolve
from .common import Problem


@contextmanager
def waiting(what: str, at_most: float) -> Iterator[None]:
    """Say what is being waited for, on terminals only: a script has its own ideas of progress."""
    if not sys.stderr.isatty():
        yield
        return
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        with _progress.waiting(what, at_most):
            yield
    finally:
        optuna.logging.set_verbosity(before)


def checked_llm(llm: str | LLM | None) -> LLM:
    """Return the model that ``--llm`` names; its weights must be here already.

    Raises:
        Problem: There is no such model, or its weights would have to be downloaded first.
    """
    try:
        _, build = resolve(llm)
        model = build()
    except ValueError as error:
        raise Problem(str(error)) from error
    if missing := missing_weights(model):
        name, size = missing
        raise Problem(
            f"The weights {name} ({size:,} MB) are not on this machine.",
            f"Run: optuna-llm pull {name}",
        )
    return model


def missing_weights(llm: LLM) -> tuple[str, int] | None:
    """Return name and size in MB of weights that a model would have to download first."""
    from ..llms.local.client import LocalLLM
    from ..llms.local.weights import cache_folder
    from ..llms.local.weights import MODELS

    if not isinstance(llm, LocalLLM) or llm.model not in MODELS:
        return None
    weights = MODELS[llm.model]
    # Neither downloads nor hashes: a gigabyte takes its time.
    if (cache_folder() / weights.file).is_file():
        return None
    return weights.name, round(weights.size / 1e6)
