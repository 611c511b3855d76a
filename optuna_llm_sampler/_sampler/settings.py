"""What the arguments of the sampler may be: checked when it is built, named in the message."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study

from .._store.prices import Budget
from .._study.conditions import MAX_PARENT_VALUES
from .._study.conditions import parent_values
from .._study.conditions import parents_first
from .._study.space import coerce
from .._study.space import Rejected
from .._study.space import to_label
from .._study.summary import MAX_SHARED_ATTRS
from .._study.warm_start import PriorStudy
from .._study.warm_start import remember


def check_text(task: str) -> None:
    if not isinstance(task, str):
        raise ValueError(f"task must be a text; got {type(task).__name__}.")


def check_notes(param_notes: Mapping[str, str] | None) -> None:
    if param_notes is None:
        return
    if not isinstance(param_notes, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in param_notes.items()
    ):
        raise ValueError("param_notes must map parameter names to texts.")


def check_space(search_space: Mapping[str, BaseDistribution] | None) -> None:
    if search_space is None:
        return
    if not isinstance(search_space, Mapping) or not all(
        isinstance(k, str) and isinstance(v, BaseDistribution) for k, v in search_space.items()
    ):
        raise ValueError("search_space must map parameter names to Optuna distributions.")


def check_defaults(
    defaults: Mapping[str, Any] | None, search_space: Mapping[str, BaseDistribution] | None
) -> None:
    if defaults is None:
        return
    if not isinstance(defaults, Mapping) or not all(isinstance(k, str) for k in defaults):
        raise ValueError("defaults must map parameter names to values.")
    for name, value in defaults.items():
        if search_space is None:
            continue
        if name not in search_space:
            raise ValueError(f"defaults names {name!r}, which is not in search_space.")
        coerced = coerce(value, search_space[name])
        if isinstance(coerced, Rejected) or coerced.repair in ("clipped", "rounded", "snapped"):
            raise ValueError(
                f"defaults has {value!r} for {name!r}, which {search_space[name]} does not allow."
            )


def read_conditions(
    conditions: Any, search_space: Mapping[str, BaseDistribution] | None
) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Check the conditions, and write choices as labels.

    Raises:
        ValueError: They are not as the sampler's docstring says.
    """
    if conditions is None:
        return {}
    if search_space is None:
        raise ValueError("conditions need search_space=, in which all parameters are.")
    if not isinstance(conditions, Mapping):
        raise ValueError(f"conditions must be a mapping; got {type(conditions).__name__}.")
    read: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, parents in conditions.items():
        if name not in search_space:
            raise ValueError(f"conditions name {name!r}, which is not in search_space.")
        if not isinstance(parents, Mapping) or not parents:
            raise ValueError(
                f"conditions of {name!r} must map parameters to lists of values, as in "
                f'{{"svm_c": {{"model": ["svm"]}}}}; got {parents!r}.'
            )
        read[name] = {
            parent: _allowed(name, parent, values, search_space)
            for parent, values in parents.items()
        }
    try:
        parents_first(search_space, read)
    except ValueError as error:
        raise ValueError(f"conditions go in a circle: {error}") from None
    return read


def _allowed(
    name: str, parent: Any, values: Any, search_space: Mapping[str, BaseDistribution]
) -> tuple[Any, ...]:
    if parent not in search_space:
        raise ValueError(f"conditions of {name!r} name {parent!r}, which is not in search_space.")
    distribution = search_space[parent]
    if parent_values(distribution) is None:
        raise ValueError(
            f"conditions of {name!r} name {parent!r}: only a choice or an integer with at most "
            f"{MAX_PARENT_VALUES} values can decide; got {distribution}."
        )
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ValueError(f"conditions of {name!r} need a list of values of {parent!r}.")
    found = []
    for value in values:
        coerced = coerce(value, distribution)
        if isinstance(coerced, Rejected) or coerced.repair in ("clipped", "rounded", "snapped"):
            raise ValueError(
                f"conditions of {name!r} have {value!r} for {parent!r}, which {distribution} does "
                "not allow."
            )
        found.append(to_label(coerced.value, distribution))
    return tuple(found)


def read_history(history: Any) -> tuple[PriorStudy, ...]:
    """Take what is worth knowing from earlier studies.

    Raises:
        ValueError: They are no studies.
    """
    if history is None:
        return ()
    if isinstance(history, Study) or not isinstance(history, Sequence):
        raise ValueError(f"history must be a list of studies; got {type(history).__name__}.")
    for study in history:
        if not isinstance(study, Study):
            raise ValueError(f"history must hold studies; got {type(study).__name__}.")
    return tuple(remember(study) for study in history)


def check_numbers(
    llm_share: float | None, n_configs: int | None, timeout: float, seed: int | None
) -> None:
    if llm_share is not None and not (_is_number(llm_share) and 0 <= llm_share <= 1):
        raise ValueError(f"llm_share must be a number from 0 to 1; got {llm_share!r}.")
    if n_configs is not None and (not _is_int(n_configs) or not 1 <= n_configs <= 64):
        raise ValueError(f"n_configs must be an integer from 1 to 64; got {n_configs!r}.")
    if not _is_number(timeout) or not 0 <= timeout < math.inf:
        raise ValueError(
            f"timeout must be a finite number of seconds, 0 or more; got {timeout!r}."
        )
    if seed is not None and not (_is_int(seed) and 0 <= seed < 2**32):
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1; got {seed!r}.")


def check_base_sampler(base_sampler: Any) -> None:
    if base_sampler is not None and not isinstance(base_sampler, BaseSampler):
        raise ValueError(f"base_sampler must be an Optuna sampler; got {base_sampler!r}.")


def check_budget(budget: Any) -> None:
    if budget is not None and not isinstance(budget, Budget):
        raise ValueError(f"budget must be a Budget(...); got {type(budget).__name__}.")


def check_callable(function: Any, name: str) -> None:
    if function is not None and not callable(function):
        raise ValueError(f"{name} must be a function; got {type(function).__name__}.")


def check_shared(names: Any) -> None:
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or not all(isinstance(n, str) for n in names) or len(names) > MAX_SHARED_ATTRS:
        raise ValueError(
            f"share_user_attrs must be a list of at most {MAX_SHARED_ATTRS} names; got {names!r}."
        )


def check_prefetch(prefetch: Any) -> None:
    if prefetch not in (None, True, False):
        raise ValueError(f"prefetch must be True, False or None; got {prefetch!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
