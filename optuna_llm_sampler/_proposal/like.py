"""The parameters of something that the user handed over: names, types and default values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import functools
import inspect
import math
import re
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.numbers import exact
from .._study.space import labels
from .._text import plain


MAX_PARAMETERS = 200
_MAX_NAME_CHARS = 80
_MAX_TEXT_CHARS = 80
_SECRET = re.compile(
    r"(?i)(^|_)(password|passwd|secret|credentials?|api_?key|access_?key|auth)|token$"
)


@dataclass(frozen=True)
class Parameter:
    """One parameter of what the user handed over.

    Attributes:
        name:
            Its name.
        type:
            Its type or its range, in words; may be empty.
        value:
            Its value now, or its default; :obj:`None` if there is none to show.
        distribution:
            Its range now, where the user handed over a search space.
    """

    name: str
    type: str = ""
    value: bool | int | float | str | None = None
    distribution: BaseDistribution | None = None


@dataclass(frozen=True)
class Like:
    """The parameters of what the user handed over.

    Attributes:
        parameters:
            By name.
        is_open:
            Whether it takes parameters of other names, too.
        is_config:
            Whether the values are a configuration that the user trusts, and no mere defaults.
    """

    parameters: Mapping[str, Parameter]
    is_open: bool = False
    is_config: bool = False


def read_like(like: Any) -> Like | None:
    """Read names, types and values. Nothing is called, imported or evaluated.

    Args:
        like:
            An estimator, its class, a function, a dictionary of values or of distributions, or
            :obj:`None`.

    Raises:
        ValueError: It has no parameters that can be read.
    """
    if like is None:
        return None
    found = _of_mapping(like) if isinstance(like, Mapping) else _of_signature(like)
    if not found.parameters:
        raise ValueError("like has no parameters: hand over a class, a function or a dictionary.")
    return found


def _of_mapping(like: Mapping[Any, Any]) -> Like:
    is_space = any(isinstance(value, BaseDistribution) for value in like.values())
    parameters = {}
    for name, value in list(like.items())[:MAX_PARAMETERS]:
        if isinstance(name, str) and _is_shown(name):
            if isinstance(value, BaseDistribution):
                parameters[name] = Parameter(name, in_words(value), None, value)
            else:
                parameters[name] = Parameter(name, _type_of(value), _simple(value))
    return Like(parameters, is_config=not is_space)


def _of_signature(like: Any) -> Like:
    is_function = inspect.isroutine(like) or isinstance(like, functools.partial)
    is_instance = not is_function and not inspect.isclass(like)
    try:
        if is_instance and not hasattr(like, "__dict__"):  # a number, a text, a list
            raise TypeError(f"it is {type(like).__name__}.")
        signature = inspect.signature(type(like) if is_instance else like)
    except (TypeError, ValueError) as error:
        raise ValueError(f"like has no signature that can be read: {plain(error)}") from None
    values = getattr(like, "__dict__", {}) if is_instance else {}
    parameters = {}
    for name, parameter in list(signature.parameters.items())[:MAX_PARAMETERS]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if _is_shown(name):
            value = values.get(name, parameter.default)
            value = None if value is parameter.empty else value
            parameters[name] = Parameter(name, _annotation(parameter), _simple(value))
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    return Like(parameters, inspect.Parameter.VAR_KEYWORD in kinds, is_config=is_instance)


def _is_shown(name: str) -> bool:
    return len(name) <= _MAX_NAME_CHARS and not _SECRET.search(name)


def _annotation(parameter: inspect.Parameter) -> str:
    if parameter.annotation is parameter.empty:
        value = _simple(parameter.default)
        return "" if value is None else type(value).__name__
    if isinstance(parameter.annotation, str):
        return plain(parameter.annotation, _MAX_TEXT_CHARS)
    return plain(inspect.formatannotation(parameter.annotation), _MAX_TEXT_CHARS)


def _type_of(value: Any) -> str:
    return "" if value is None else plain(type(value).__name__, _MAX_TEXT_CHARS)


def _simple(value: Any) -> bool | int | float | str | None:
    """Return a value that can be shown; no other object's ``__repr__`` is run."""
    if type(value) in (bool, int) or (type(value) is float and math.isfinite(value)):
        return value if abs(value) < 1e300 else None
    if isinstance(value, str):
        return plain(str.__str__(value), _MAX_TEXT_CHARS)
    return None


def in_words(d: BaseDistribution) -> str:
    """Write a distribution in words."""
    if isinstance(d, CategoricalDistribution):
        return plain("one of " + ", ".join(labels(d)[:40]), 4 * _MAX_TEXT_CHARS)
    assert isinstance(d, (FloatDistribution, IntDistribution))
    kind = "int" if isinstance(d, IntDistribution) else "float"
    text = f"{kind} from {exact(d.low)} to {exact(d.high)}"
    if d.step and not (kind == "int" and d.step == 1):
        text += f" in steps of {exact(d.step)}"
    return f"{text}, logarithmic" if d.log else text
