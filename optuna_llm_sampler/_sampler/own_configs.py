"""Configurations that are tried once, before the model's: the user's own, documented defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from .._advice.documented.loaded import loaded_estimators
from .._advice.documented.match import documented_defaults
from .._store.records import CLOCK_SKEW
from .._store.store import Snapshot
from .._study import keys as _keys
from .._study.conditions import Conditions
from .._study.distance import natural_middle
from .._study.optuna_internals import fixed_params
from .._study.space import SearchSpace
from .._study.warm_start import PriorStudy, to_try
from .._text import MAX_WHY_CHARS, one_line


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class OwnConfig:
    """A configuration that the user trusts, one of the best of an earlier study, or documented."""

    source: str  # `"defaults"` or `"history"`
    label: str  # written on the trial that tries it; different for each
    params: Mapping[str, Any]  # values by parameter name
    why: str = ""  # where it comes from, in words

    def is_taken(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether a trial has tried this configuration or is about to."""
        return any(self._has(trial) for trial in trials)

    def _has(self, trial: FrozenTrial) -> bool:
        if _keys.read(trial.user_attrs, _keys.ADVICE) == self.label:
            return True
        params = {**fixed_params(trial), **trial.params}
        return all(name in params and params[name] == v for name, v in self.params.items())


def own_configs(
    defaults: Mapping[str, Any], prior_studies: Sequence[PriorStudy], space: SearchSpace
) -> tuple[OwnConfig, ...]:
    """Return the defaults, if there are any, and the best configurations of earlier studies."""
    best = to_try(prior_studies, space or None)
    return (
        *([OwnConfig("defaults", "defaults", defaults)] if defaults else []),
        *(OwnConfig("history", f"history, config {i}", p) for i, p in enumerate(best)),
    )


def documented_config(space: SearchSpace, conditions: Conditions, task: str) -> OwnConfig | None:
    """Return the documented defaults of what is tuned, if its library has been imported.

    Parameters without one are at the middle of their range.

    Args:
        space:
            The parameters.
        conditions:
            When conditional parameters are used.
        task:
            What is tuned, in the user's words.
    """
    found = documented_defaults(space, loaded_estimators(), task, conditions)
    if found is None:
        return None
    params = {name: natural_middle(d) for name, d in space.items()} | dict(found.values)
    return OwnConfig("defaults", _keys.DOCUMENTED, params, why=one_line(str(found), MAX_WHY_CHARS))


def config_for(number: int, configs: Sequence[OwnConfig], snapshot: Snapshot) -> OwnConfig | None:
    """Return the configuration that a trial has to try, if one of ``configs`` is left for it.

    Undecided trials with lower numbers take theirs first, so that each configuration is tried
    once and as soon as possible, whatever the study already holds.
    """
    n_before = sum(
        running.source is None
        and running.number < number
        and abs(running.age) < CLOCK_SKEW
        and not fixed_params(snapshot.trials[running.number])
        for running in snapshot.running
    )
    return configs[n_before] if n_before < len(configs) else None
