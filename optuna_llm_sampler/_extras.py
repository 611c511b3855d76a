"""Optional dependencies, imported when they are used and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import MissingExtraError


def need(module: str, what: str, extra: str) -> Any:
    """Import a module of an optional dependency.

    Raises:
        MissingExtraError: It is not installed. The error names the extra to install.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(what, extra) from None
