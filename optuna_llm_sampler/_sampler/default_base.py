"""The base sampler that is used when the user names none."""

from __future__ import annotations

from collections.abc import Sequence
import importlib.util
from typing import Any
from typing import cast
from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from .._policy.allocation import N_FIRST_SAMPLES
from .._study.space import is_at
from .._study.space import locate
from .gp_study import are_alike
from .gp_study import GPStudy
from .gp_study import known_params
from .relaxed import relaxed
from .relaxed import rounded


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import TrialState as State


# From here on, on benchmarks/regret, the GP hardly finds anything better, and costs ever more.
# Regret at trials 50, 80, 100 on 13 pairs with the same first 50 trials: GP .045, .040, .037; TPE
# .045, .018, .017; both in turn .045, .030, .022. TPE from trial 20, 30, 40 or 50 on, at trials 50
# and 100 (25 pairs, a few hundredths of noise): .051, .036; .056, .042; .050, .031; .051, .023.
GP_MAX_TRIALS = 50

# A GP learns nothing from a failure, so its acquisition keeps its maximum there: where half of the
# space fails, 23 of 30 trials did, against TPE's 8.5 (benchmarks/regret --failing, two tables).
_MAX_FAILED = 0.1

# Two trials that run at the same time are to be farther apart than this in some parameter.
_NEAR = 0.025
_MAX_REDRAWS = 10


class DefaultBaseSampler(BaseSampler):
    """A Gaussian process while it pays, TPE otherwise.

    Each trial goes to :class:`~optuna.samplers.GPSampler` when torch and scipy are installed, the
    study has one objective, fewer than 50 finished trials, none of them pruned and hardly one
    failed, and all of them had the same parameters and set the same constraints; else to
    :class:`~optuna.samplers.TPESampler`, which can do with constraints that only some trials set.
    The GP models from the end of the language model's first proposals on
    (``n_startup_trials=5``): five good trials are worth more to it than ten random ones. It
    searches long ranges of integers and steps as floats (``_sampler.relaxed``), and
    is shown no trial with a value outside of its range, which an enqueued one can have.

    A candidate that differs from a trial that runs or waits by less than 2.5 % of the range in
    every parameter is replaced by one of TPE's, so that many workers do not try the same. A few
    draws are made, since there may be nothing else left to try. With one worker, nothing changes.

    NOTE: What else was tried on it and brought no clear gain (benchmarks/regret, 0.5B model).
    A prior fitted to the model's samples in its acquisition, β/n, as in πBO (arXiv 2204.11051):
    regret at trials 20 and 30 .064, .056 without; .072, .049 (β = 1); .076, .062 (3); .099, .086
    (10); 12 pairs. Bad values cut: at trials 20 and 50 .114, .057 → .113, .044 (45 pairs, streams
    of their own), and .090, .054 → .093, .061 (19 pairs, the same streams). Ranks in their place:
    .114, .057 → .121, .056 (the 45 pairs). TPE for every other trial from the 20th on: at trial 50
    .050 → .047 (49 pairs).

    Failures told to the GP, where half of the space fails (24 pairs; regret at trials 10, 20, 50,
    and failed trials): as it is, TPE, .438, .295, .181, 11.3; with the worst value .593, .351,
    .185, 8.9; as a violated constraint .608, .366, .124, 13.4. Without a language model .545,
    .264, .120, 11.6 as a constraint; TPE alone .406, .300, .168, 20.5.

    Args:
        seed:
            Seed from which those of both samplers are derived.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        # Not the same seed: when a study goes over to TPE, its random trials would be those of the
        # GP's start-up once more.
        self._tpe = TPESampler(seed=None if seed is None else (seed + 1_000_003) % 2**32)
        self._gp = (
            GPSampler(seed=seed, n_startup_trials=N_FIRST_SAMPLES, warn_independent_sampling=False)
            if _has_torch()
            else None
        )
        self._gp_names: set[str] = set()
        self._chosen: dict[int, BaseSampler] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        chosen = self._choose(study)
        self._chosen[trial._trial_id] = chosen
        return chosen.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        params = self._draw(study, trial, search_space)
        if not params:
            return params
        taken = _unfinished(study, trial)
        for _ in range(_MAX_REDRAWS):
            if not _is_taken(params, taken, search_space):
                break
            # By TPE: a GP that is sure of its optimum finds it again and again.
            params = self._tpe.sample_relative(study, trial, search_space) or {
                name: self._tpe.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        return params

    def _draw(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        sampler = self._of(trial)
        if self._gp is None or sampler is not self._gp:
            return sampler.sample_relative(study, trial, search_space)
        if self._gp_names != search_space.keys():
            # PartialFixedSampler makes the space smaller. Optuna then drops the kernels of the
            # objective that it keeps, but not those of constraints (_get_constraints_acqf_args).
            self._gp._constraints_gprs_cache_list = None
            self._gp_names = set(search_space)
        wide = relaxed(search_space)
        seen = cast("Study", GPStudy(study, search_space, wide))
        return rounded(self._gp.sample_relative(seen, trial, wide), search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._tpe.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: State, values: Sequence[float] | None
    ) -> None:
        self._chosen.pop(trial._trial_id, None)
        self._tpe.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._tpe.reseed_rng()
        if self._gp is not None:
            self._gp.reseed_rng()

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        return self._chosen.get(trial._trial_id, self._tpe)

    def _choose(self, study: Study) -> BaseSampler:
        if self._gp is None or len(study.directions) > 1:
            return self._tpe
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        ended = study._get_trials(deepcopy=False, states=states, use_cache=True)
        trials = [trial for trial in ended if trial.state != TrialState.FAIL]
        many_fail = len(ended) - len(trials) > _MAX_FAILED * len(ended)
        if len(trials) >= GP_MAX_TRIALS or many_fail:
            return self._tpe
        # GPSampler ignores pruned trials, TPE does not.
        pruned = any(trial.state == TrialState.PRUNED for trial in trials)
        return self._gp if are_alike(trials) and not pruned else self._tpe


def _unfinished(study: Study, trial: FrozenTrial) -> list[dict[str, Any]]:
    """Return what is known of the other trials that run or wait."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    others = study._get_trials(deepcopy=False, states=states, use_cache=False)
    return [known_params(other) for other in others if other.number != trial.number]


def _is_taken(
    params: dict[str, Any], taken: Sequence[dict[str, Any]], space: dict[str, BaseDistribution]
) -> bool:
    point = locate(params, space)
    return any(is_at(point, other, space, _NEAR) for other in taken)


def _has_torch() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "scipy"))
