"""A study as Optuna's Gaussian process can take it, and as its next candidate must see it.

The GP wants every complete trial to have the same parameters and the same constraints, and all
values to lie in their ranges (optuna/samplers/_gp/sampler.py); it raises otherwise, or mixes up
constraints, of which it knows only the order. Of running trials it reads what it published itself.
"""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Mapping
from collections.abc import Sequence
import copy
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from .._store.store import published_params


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from .._study.space import SearchSpace


def are_alike(trials: Sequence[FrozenTrial]) -> bool:
    """Tell whether all trials had the same parameters and constraints of the same names."""
    return all(
        trial.distributions == trials[0].distributions
        and trial.constraints.keys() == trials[0].constraints.keys()
        for trial in trials
    )


def known_params(trial: FrozenTrial) -> dict[str, Any]:
    """Return what is known of a trial's parameters, those included that it has yet to ask for."""
    if trial.state.is_finished():
        return trial.params
    fixed = trial.system_attrs.get("fixed_params")  # of an enqueued trial
    return {
        **published_params(trial.system_attrs),
        **(fixed if isinstance(fixed, Mapping) else {}),
        **trial.params,
    }


class GPStudy:
    """A study whose trials are only those that the GP can take, with all that is known of them.

    Args:
        study:
            The study.
        space:
            The parameters that the GP is asked for.
        wide:
            The same as the GP is to see them, see :mod:`~optuna_llm_sampler._sampler.relaxed`.
    """

    def __init__(self, study: Study, space: SearchSpace, wide: SearchSpace) -> None:
        self._study = study
        self._space = space
        self._wide = wide

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        # Read afresh, so another worker's trial may be here that was not when the GP was chosen.
        trials = self._study._get_trials(deepcopy=False, states=states, use_cache=use_cache)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        constraints = complete[0].constraints.keys() if complete else set()
        return [
            self._seen(trial, params)
            for trial in trials
            if _is_legal(params := known_params(trial), self._space)
            and not (trial.state.is_finished() and trial.constraints.keys() != constraints)
        ]

    def _seen(self, trial: FrozenTrial, params: Mapping[str, Any]) -> FrozenTrial:
        seen = copy.copy(trial)
        seen.params = {
            # NumPy has no numbers for integers beyond 64 bits.
            name: float(params[name]) if isinstance(wide, FloatDistribution) else params[name]
            for name, wide in self._wide.items()
        }
        seen.system_attrs = dict(sorted(trial.system_attrs.items()))  # constraints in one order
        return seen


def _is_legal(params: Mapping[str, Any], space: SearchSpace) -> bool:
    try:
        return all(d._contains(d.to_internal_repr(params[name])) for name, d in space.items())
    except (KeyError, TypeError, ValueError):  # not there, or of another kind
        return False
