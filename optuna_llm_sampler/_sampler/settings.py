"""Validate LLMSampler's arguments. Every error names the argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math
from reprlib import repr as _short
import time
from typing import Any, TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger
from optuna.samplers import BaseSampler
from optuna.study import Study

from .._store.calls import CallHook
from .._store.prices import Budget, Price
from .._study.conditions import (
    combined,
    Conditions,
    MAX_PARENT_VALUES,
    parent_values,
    parents_first,
)
from .._study.space import coerce, Rejected, SearchSpace, to_label
from .._study.summary import MAX_SHARED_ATTRS
from .._study.warm_start import PriorStudy, remember
from ..llms.registry import resolve
from .own_configs import OwnConfig


if TYPE_CHECKING:
    from .._advice.renaming import Redact
    from ..llms.base import LLM


_logger = get_logger(f"optuna.{__name__}")


@dataclass(frozen=True)
class Settings:
    """The checked arguments of LLMSampler, which says what they mean.

    Mappings are empty where the user gave none.

    Attributes:
        prior_studies:
            What is kept of the studies in ``history``.
        own_configs:
            The configurations to try first: ``defaults``, then the best of ``history``.
        documented_defaults:
            Whether documented defaults may be tried if there are no ``own_configs``.
        clock:
            Returns seconds since the epoch.

    Raises:
        ValueError: An argument is not as LLMSampler describes it; the message names it.
    """

    llm: str | LLM | None
    task: str
    param_notes: Mapping[str, str]
    search_space: SearchSpace
    conditions: Conditions
    prior_studies: tuple[PriorStudy, ...]
    own_configs: tuple[OwnConfig, ...]
    documented_defaults: bool
    base_sampler: BaseSampler | None
    llm_share: float | None
    n_configs: int | None
    timeout: float
    prefetch: bool
    budget: Budget | None
    prices: Mapping[str, Price]
    on_call: CallHook | None
    share_user_attrs: tuple[str, ...]
    redact: Redact | None
    seed: int | None
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        resolve(self.llm)  # raises an error that names llm
        share, n_configs, seed = self.llm_share, self.n_configs, self.seed
        base = self.base_sampler
        is_share = share is None or (_is_number(share) and 0 <= share <= 1)
        is_timeout = _is_number(self.timeout) and 0 <= self.timeout < math.inf
        self._check("task", isinstance(self.task, str), "a string")
        self._check("base_sampler", base is None or isinstance(base, BaseSampler), "a sampler")
        self._check("llm_share", is_share, "a number from 0 to 1")
        self._check("n_configs", _is_integer(n_configs, 1, 64), "an integer from 1 to 64")
        self._check("timeout", is_timeout, "a finite number of seconds, 0 or more")
        self._check(
            "documented_defaults", self.documented_defaults in (True, False), "True or False"
        )
        self._check("prefetch", self.prefetch in (True, False), "True, False or None")
        self._check("budget", isinstance(self.budget, (Budget, type(None))), "a Budget(...)")
        self._check("on_call", self.on_call is None or callable(self.on_call), "a function")
        self._check("redact", self.redact is None or callable(self.redact), "a function")
        self._check("seed", _is_integer(seed, 0, 2**32 - 1), "an integer from 0 to 2**32 - 1")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            raise ValueError(f"{name} must be {expected}; got {_short(getattr(self, name))}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value: Any, low: int, high: int) -> bool:
    """Return whether an optional argument is absent or an integer in the range."""
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


_MAPPINGS = {
    "param_notes": "parameter names to strings",
    "defaults": "parameter names to values",
    "search_space": "parameter names to Optuna distributions, or be the objective",
    "prices": 'names of models such as "openai/gpt-5-mini" to Price(...)',
}


def read_mapping(name: str, value: Any, kind: type[Any]) -> dict[str, Any]:
    """Copy an argument that maps strings to values of one kind; :obj:`None` is an empty one.

    Raises:
        ValueError: It is no such mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, kind) for k, v in value.items()
    ):
        raise ValueError(f"{name} must map {_MAPPINGS[name]}; got {_short(value)}.")
    return dict(value)


@dataclass(frozen=True)
class KnownSpace:
    """What is known of the search space before the first trial."""

    space: SearchSpace  # distributions by parameter name
    conditions: Conditions  # conditions, with choices as labels
    is_complete: bool  # whether there are no further parameters


def read_search_space(search_space: Any, conditions: Any) -> KnownSpace:
    """Read the search space, from the source of the objective if that is given.

    Raises:
        ValueError: The arguments are not as LLMSampler describes them.
    """
    if isinstance(search_space, Mapping) or not callable(search_space):
        space = read_mapping("search_space", search_space, BaseDistribution)
        return KnownSpace(space, _read_conditions(conditions, space), bool(space))
    from .._objective.read import search_space_of  # loaded by those who need it

    read = search_space_of(search_space)
    _logger.info(f"LLMSampler read the objective's source: {read.in_words()}")
    found = {
        name: {p: tuple(to_label(v, read.space[p]) for v in values) for p, values in where.items()}
        for name, where in read.conditions.items()
    }
    given = _read_conditions(conditions, read.space)
    return KnownSpace(read.space, combined(given, found, read.space), not read.left_out)


def read_defaults(defaults: Any, known: KnownSpace) -> dict[str, Any]:
    """Check the defaults against the search space, as far as it is known.

    Raises:
        ValueError: They are no mapping, or hold a name or a value that is not in the space.
    """
    space = known.space
    read = read_mapping("defaults", defaults, object)
    for name, value in read.items():
        if name not in space:
            if not known.is_complete:
                continue
            raise ValueError(f"defaults names {name!r}, which is not in search_space.")
        _legal(value, space[name], f"defaults has {_short(value)} for {name!r}")
    return read


def _legal(value: Any, distribution: BaseDistribution, what: str) -> Any:
    """Return the value as the distribution has it, or raise an error that says what is wrong."""
    coerced = coerce(value, distribution)
    if isinstance(coerced, Rejected) or coerced.repair in ("clipped", "rounded", "snapped"):
        raise ValueError(f"{what}, which {distribution} does not allow.")
    return coerced.value


def _read_conditions(conditions: Any, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Check the conditions, and write choices as labels.

    Raises:
        ValueError: They are not as LLMSampler describes them.
    """
    if conditions is None:
        return {}
    if not space:
        raise ValueError("conditions need search_space=, which has to hold all parameters.")
    if not isinstance(conditions, Mapping):
        raise ValueError(f"conditions must be a mapping; got {_short(conditions)}.")
    read: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, parents in conditions.items():
        if name not in space:
            raise ValueError(f"conditions name {name!r}, which is not in search_space.")
        if not isinstance(parents, Mapping) or not parents:
            raise ValueError(
                f"conditions of {name!r} must map parameters to lists of values, as in "
                f'{{"svm_c": {{"model": ["svm"]}}}}; got {_short(parents)}.'
            )
        read[name] = {
            parent: _parent_labels(values, parent, space, f"conditions of {name!r}")
            for parent, values in parents.items()
        }
    try:
        parents_first(space, read)
    except ValueError as error:
        raise ValueError(f"conditions form a cycle: {error}") from None
    return read


def _parent_labels(values: Any, parent: Any, space: SearchSpace, where: str) -> tuple[Any, ...]:
    if parent not in space:
        raise ValueError(f"{where} name {parent!r}, which is not in search_space.")
    distribution = space[parent]
    if parent_values(distribution) is None:
        raise ValueError(
            f"{where} name {parent!r}: only a choice or an integer with at most "
            f"{MAX_PARENT_VALUES} values can be a condition; got {distribution}."
        )
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ValueError(f"{where} need a list of values of {parent!r}; got {_short(values)}.")
    legal = (_legal(v, distribution, f"{where} have {_short(v)} for {parent!r}") for v in values)
    return tuple(to_label(value, distribution) for value in legal)


def read_history(history: Any) -> tuple[PriorStudy, ...]:
    """Keep the best of earlier studies.

    Raises:
        ValueError: It is no list of studies.
    """
    if history is None:
        return ()
    if not isinstance(history, Sequence) or not all(isinstance(s, Study) for s in history):
        raise ValueError(f"history must be a list of studies; got {_short(history)}.")
    return tuple(remember(study) for study in history)


def read_names(names: Any) -> tuple[str, ...]:
    """Check the names of shared user attributes.

    Raises:
        ValueError: They are no list of strings, or too many.
    """
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or not all(isinstance(n, str) for n in names) or len(names) > MAX_SHARED_ATTRS:
        raise ValueError(
            f"share_user_attrs must be a list of at most {MAX_SHARED_ATTRS} names; "
            f"got {_short(names)}."
        )
    return tuple(names)
