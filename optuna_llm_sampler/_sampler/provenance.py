"""What is written on a trial for people to read: where its parameters came from, and why."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.logging import get_logger

from .._study import keys as _keys
from .._study.optuna_internals import fixed_params
from .._study.optuna_internals import trial_id_of
from .session import Decision


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")


def describe(storage: BaseStorage, trial: FrozenTrial, decision: Decision) -> None:
    """Write what was decided; the source comes last and says that all is written."""
    attrs: dict[str, str | int] = {}
    if decision.advice:
        attrs[_keys.ADVICE] = decision.advice
    if decision.config is not None and decision.config.why:
        attrs[_keys.WHY] = decision.config.why
    if decision.config is not None and decision.config.repaired:
        attrs[_keys.REPAIRED] = decision.config.repaired
    attrs[_keys.SOURCE] = decision.source
    _write(storage, trial, attrs)


def complete(storage: BaseStorage, trial: FrozenTrial, from_base: Sequence[str] | None) -> None:
    """Write what is known only when the trial has asked for all of its parameters.

    Args:
        storage:
            Where the trial is.
        trial:
            The trial, which is about to end.
        from_base:
            Parameters that the model had left out; :obj:`None` if nothing was decided at all.
    """
    if from_base:
        _write(storage, trial, {_keys.FROM_BASE: ", ".join(sorted(from_base))[:200]})
    elif from_base is None and fixed_params(trial):
        _write(storage, trial, {_keys.SOURCE: "enqueued"})


def _write(storage: BaseStorage, trial: FrozenTrial, attrs: Mapping[str, str | int]) -> None:
    try:
        for key, value in attrs.items():
            storage.set_trial_user_attr(trial_id_of(trial), key, value)
    except Exception as error:  # a trial is not lost because of what is said about it
        _logger.debug(f"Trial {trial.number} lacks a record of its source: {error!r}")
