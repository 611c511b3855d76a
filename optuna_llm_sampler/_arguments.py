"""What the arguments of the sampler may be: checked when it is built, named in the message."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from ._space import coerce
from ._space import Rejected


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


def check_numbers(
    llm_share: float | None, n_configs: int, timeout: float, seed: int | None
) -> None:
    if llm_share is not None and not (_is_number(llm_share) and 0 <= llm_share <= 1):
        raise ValueError(f"llm_share must be a number from 0 to 1; got {llm_share!r}.")
    if not _is_int(n_configs) or not 1 <= n_configs <= 64:
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


def check_prefetch(prefetch: Any) -> None:
    if prefetch not in (None, True, False):
        raise ValueError(f"prefetch must be True, False or None; got {prefetch!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
