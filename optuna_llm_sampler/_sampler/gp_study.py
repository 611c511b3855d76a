"""A study and a space as Optuna's Gaussian process can take them.

The GP wants every complete trial to have the same parameters and the same constraints, and all
values to lie in their ranges (optuna/samplers/_gp/sampler.py); it raises otherwise, or mixes up
constraints, of which it knows only the order. Of running trials it reads what it published itself.

It looks for the best integer of more than 16 by a line search, one point at a time and from ten
starts (optuna/_gp/optim_mixed.py, ``_discrete_line_search``): with three such parameters a trial
takes eight times as long as with floats (30 trials of HPOBench-MLP 16.7 s and 2.0 s, the same
regret, six pairs). The float's bounds lie half a step outside, where Optuna's own normalisation
puts those of an integer (optuna/_gp/search_space.py), so the model of the objective is the same.
Floats with a step are the same to it, and all their values are written into one array.

Optuna's samplers look at a range in its own scale. So they get a logarithmic one where that is
the natural scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import copy
from typing import Any, TYPE_CHECKING, TypeGuard

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from .._study.distance import is_logarithmic
from .._study.optuna_internals import constraints_of, contains, known_params, viewed
from .._study.space import legal_or


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from .._study.space import SearchSpace


# Ranges with more steps than these become floats.
_MAX_SEARCHED = 16


def are_alike(trials: Sequence[FrozenTrial]) -> bool:
    """Tell whether all trials had the same parameters and constraints of the same names."""
    return all(
        trial.distributions == trials[0].distributions
        and constraints_of(trial).keys() == constraints_of(trials[0]).keys()
        for trial in trials
    )


def gp_study(study: Study, space: SearchSpace, wide: SearchSpace) -> Study:
    """Return the study with only those trials that the GP can take, and all known of them.

    Args:
        study:
            The study.
        space:
            The parameters that the GP is asked for.
        wide:
            The same as the GP is to see them, see :func:`relaxed`.
    """

    def shown(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        # Read afresh, so another worker's trial may be here that was not when the GP was chosen.
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        constraints = constraints_of(complete[0]).keys() if complete else set()
        return [
            _seen(trial, params, wide)
            for trial in trials
            if _is_legal(params := known_params(trial), space)
            and not (trial.state.is_finished() and constraints_of(trial).keys() != constraints)
        ]

    return viewed(study, shown)


def _seen(trial: FrozenTrial, params: Mapping[str, Any], wide: SearchSpace) -> FrozenTrial:
    seen = copy.copy(trial)
    seen.params = {
        # NumPy has no numbers for integers beyond 64 bits.
        name: float(params[name]) if isinstance(d, FloatDistribution) else params[name]
        for name, d in wide.items()
    }
    seen.system_attrs = dict(sorted(trial.system_attrs.items()))  # constraints in one order
    return seen


def _is_legal(params: Mapping[str, Any], space: SearchSpace) -> bool:
    try:
        return all(contains(d, d.to_internal_repr(params[name])) for name, d in space.items())
    except (KeyError, TypeError, ValueError):  # not there, or of another kind
        return False


def relaxed(space: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """Return the space with floats for long ranges of integers and of floats with a step."""
    return {
        name: _as_float(distribution) if _is_long(distribution) else _scaled(distribution)
        for name, distribution in space.items()
    }


def _scaled(distribution: BaseDistribution) -> BaseDistribution:
    """Return a range in its natural scale, a float if that is not its own."""
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        return distribution
    is_other = is_logarithmic(distribution) and not distribution.log
    return _as_float(distribution) if is_other else distribution


def in_natural_scale(
    sample: Callable[[dict[str, BaseDistribution]], Mapping[str, Any]],
    space: Mapping[str, BaseDistribution],
) -> dict[str, Any]:
    """Ask for values in the natural scale, and return them as the space itself has them."""
    scale = {name: _scaled(distribution) for name, distribution in space.items()}
    return {
        name: value if scale[name] is space[name] else legal_or(value, value, space[name])
        for name, value in sample(scale).items()
    }


def _is_long(distribution: BaseDistribution) -> TypeGuard[FloatDistribution | IntDistribution]:
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        return False
    low, high, step = distribution.low, distribution.high, distribution.step
    return step is not None and (high - low) // step >= _MAX_SEARCHED


def _as_float(distribution: FloatDistribution | IntDistribution) -> FloatDistribution:
    half = 0.5 * (distribution.step or 0.0)
    log = is_logarithmic(distribution)
    low = max(distribution.low - half, 0.5 * distribution.low) if log else distribution.low - half
    return FloatDistribution(low, distribution.high + half, log=log)


def rounded(params: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return the values as the space itself has them."""
    return {name: legal_or(value, value, space[name]) for name, value in params.items()}
