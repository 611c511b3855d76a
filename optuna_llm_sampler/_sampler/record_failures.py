"""A wrapper around an objective that writes down why a trial failed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
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
    """Record why trials fail, so that the model can see it.

    Optuna keeps a failed trial's parameters but not its exception, and callbacks are not told of
    it. Wrapped by this function, an objective that raises leaves the exception's type and the
    first line of its message in the trial's user attribute ``llm_error``; one that returns NaN
    leaves that. The exception goes on its way. The text is shown to the language model.

    Args:
        objective:
            What :meth:`~optuna.study.Study.optimize` is to call.

    Returns:
        The objective to give to it instead. Also usable as a decorator.

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
            _note(trial, f"{type(error).__name__}: {first}".removesuffix(": "))
            raise
        if any(map(_is_nan, values if isinstance(values, Sequence) else [values])):
            _note(trial, "the objective returned nan")
        return values

    return recorded


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _note(trial: Trial, text: str) -> None:
    trial.set_user_attr(_keys.ERROR, one_line(text, MAX_ERROR_CHARS))
