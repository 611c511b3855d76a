"""Record why trials fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
import math
from typing import Any

import optuna
from optuna.trial import Trial

from .._study import keys as _keys
from .._study.summary import MAX_ERROR_CHARS
from .._text import one_line


Objective = Callable[[Trial], float | Sequence[float]]


def record_failures(objective: Objective) -> Objective:
    """Wrap an objective so that the model learns why trials fail.

    Optuna keeps a failed trial's parameters but not its exception. The wrapped objective writes
    the exception's type and the first line of its message, or that it returned NaN, to the trial's
    user attribute ``llm_error``, which is sent to the model. The exception is then raised again.
    Also usable as a decorator.

    Example:

        .. code-block:: python

            study.optimize(record_failures(objective), n_trials=50, catch=(RuntimeError,))
    """

    @wraps(objective)
    def recorded(trial: Trial) -> float | Sequence[float]:
        try:
            values = objective(trial)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            _write(trial, f"{type(error).__name__}: {first}".removesuffix(": "))
            raise
        if any(map(_is_nan, values if isinstance(values, Sequence) else [values])):
            _write(trial, "the objective returned nan")
        return values

    return recorded


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _write(trial: Trial, text: str) -> None:
    trial.set_user_attr(_keys.ERROR, one_line(text, MAX_ERROR_CHARS))
