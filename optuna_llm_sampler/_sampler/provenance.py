"""Write on a trial, for people to read, where its parameters came from and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optuna.logging import get_logger

from .._study import keys as _keys
from .._study.optuna_internals import storage_of, trial_id_of
from .session import Decision


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")


def write_decision(study: Study, trial: FrozenTrial, decision: Decision) -> None:
    """Write where a trial's parameters come from. The source is last: then all is written."""
    config = decision.config
    attrs: dict[str, str | int] = {
        _keys.ADVICE: decision.advice,
        _keys.WHY: config.why if config else "",
        _keys.REPAIRED: config.repaired if config else 0,
        _keys.SOURCE: decision.source,
    }
    _write(study, trial, {key: value for key, value in attrs.items() if value})


def write_from_base(study: Study, trial: FrozenTrial, names: Sequence[str]) -> None:
    """Write which parameters the trial's configuration lacked. Known when the trial ends."""
    if names:
        _write(study, trial, {_keys.FROM_BASE: ", ".join(sorted(names))[:200]})


def _write(study: Study, trial: FrozenTrial, attrs: Mapping[str, str | int]) -> None:
    try:
        for key, value in attrs.items():
            storage_of(study).set_trial_user_attr(trial_id_of(trial), key, value)
    except Exception as error:  # a missing note must not cost a trial
        _logger.debug(f"The source of trial {trial.number} was not written: {error!r}")
