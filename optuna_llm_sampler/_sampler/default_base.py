"""The base sampler that is used when the user names none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
import importlib.util
from itertools import chain
import os
import threading
from typing import Any, TYPE_CHECKING

import numpy as np
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from .._policy.allocation import N_FIRST_SAMPLES
from .._study.distance import natural_middle, Points
from .._study.keys import source_kind
from .._study.optuna_internals import (
    all_trials,
    fixed_params,
    forget_constraints,
    gp_sampler,
    key_of,
    known_params,
    publish_params,
    published_params,
    sampled_trials,
    tpe_sampler,
    TrialKey,
    whole,
)
from .branching import Branching, candidates
from .gp_study import are_alike, gp_study, in_natural_scale, relaxed, rounded


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState as State


# From here on a Gaussian process hardly finds anything better, and costs ever more: "Where the
# Gaussian process gives way" in benchmarks/decisions.md.
GP_MAX_TRIALS = 50
# The process in NumPy begins after these, where a language model or the user has begun the study.
_N_NUMPY_STARTUP = 3
# A Gaussian process learns nothing from a failure, so its acquisition keeps its maximum there:
# where half of the space fails, 23 of 30 trials did, against TPE's 8.5.
_MAX_FAILED = 0.1
# Two trials that run at the same time are to be farther apart than this in some parameter.
_NEAR = 0.025
_MAX_REDRAWS = 10
# A space with no more configurations than these is searched for one that is new.
_MAX_GRID = 1000
# The structure of the space is read from the latest trials, as many as these.
_LATEST = 200
# One thread of this process samples at a time, and the next one knows what it has chosen.
_LOCK = threading.Lock()


def _renew_lock() -> None:
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):  # a thread that held it is not in the child
    os.register_at_fork(after_in_child=_renew_lock)


@dataclass(frozen=True)
class _Plan:
    """How one trial gets its parameters.

    Attributes:
        sampler:
            The sampler of Optuna's that proposes them; None: the Gaussian process of this package.
        branching:
            The space, if not all trials had the same parameters or this package's process is used.
        opens:
            Whether the trial is one of the first, which take the choices in turn.
    """

    sampler: BaseSampler | None
    branching: Branching | None = None
    opens: bool = False


class DefaultBaseSampler(BaseSampler):
    """A Gaussian process while it pays, TPE otherwise.

    Below 50 finished trials of one objective, none of them pruned and hardly one failed, a
    Gaussian process models the study. Where all trials had the same parameters and constraints, it
    is :class:`~optuna.samplers.GPSampler`, if torch and scipy are installed. With branches, or
    constraints that only some trials set, it is one in NumPy, in turn with TPE. In every other
    study, and later, :class:`~optuna.samplers.TPESampler` proposes. The first process begins after
    five trials; so does the second, or after three where a language model or the user chose one of
    them: such trials are worth more to a process than ten random ones.

    A positive range over two decades is a logarithm to all of them, whether it says so or not. A
    parameter that no trial has had begins in the middle of its range or with its first choice. So
    the first trial is in the middle of everything. If nobody else has chosen one, the next four
    trials are drawn, but take the choices in turn, and once it is known which choice decides, a
    new branch begins with all numbers in the middle.

    No configuration is proposed twice while there are others, and none that differs by less than
    2.5 % of the range in every parameter from a trial that runs or waits, so that many workers do
    not try the same. TPE draws again instead, or the next best of the same fit is taken. Threads
    of one process sample one after the other. Before a trial has ended, the space is not known:
    of trials that begin at once, the first is in the middle and the others draw at random.

    Pruned trials stay with TPE, which ranks them by their last values. A Gaussian process that
    takes these for results was not measured.

    "The default base sampler" in benchmarks/decisions.md says what else was tried.

    Args:
        seed:
            Seed from which those of all samplers are derived.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        # Not the same seed: when a study goes over to TPE, its random trials would be those of the
        # GP's start-up once more.
        self._tpe = tpe_sampler(None if seed is None else (seed + 1_000_003) % 2**32)
        self._rng = np.random.RandomState(None if seed is None else (seed + 2_000_003) % 2**32)
        self._gp = gp_sampler(seed, n_startup_trials=N_FIRST_SAMPLES) if _has_torch() else None
        self._gp_names: set[str] = set()
        self._plans: dict[TrialKey, _Plan] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        plan = self._plans[key_of(trial)] = self._plan(study, trial)
        if plan.branching is not None:
            return dict(plan.branching.space)
        assert plan.sampler is not None
        return plan.sampler.infer_relative_search_space(study, trial)

    def _plan(self, study: Study, trial: FrozenTrial) -> _Plan:
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        ended = sampled_trials(study, states)
        trials = [trial for trial in ended if trial.state != TrialState.FAIL]
        latest = [trial for trial in trials if trial.params][-_LATEST:]
        flat = all(trial.distributions == latest[0].distributions for trial in latest)
        if (
            len(study.directions) > 1
            or len(trials) >= GP_MAX_TRIALS
            or len(ended) - len(trials) > _MAX_FAILED * len(ended)
            or any(trial.state == TrialState.PRUNED for trial in trials)
        ):
            # Of several objectives, TPE samples one parameter after the other.
            space = Branching.of(latest)
            return _Plan(self._tpe, space if space.size() <= _MAX_GRID or not flat else None)
        if latest and len(trials) < N_FIRST_SAMPLES and not any(map(_is_given, trials)):
            return _Plan(None, Branching.of(latest), opens=True)
        if are_alike(trials):
            return _Plan(self._gp or self._tpe)
        # In turn: alone, the process in NumPy stays too long in a branch that it knows.
        return _Plan(self._tpe if trial.number % 2 else None, Branching.of(latest))

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
        *,
        promised: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Propose parameters.

        Args:
            study:
                The study.
            trial:
                The trial.
            search_space:
                The parameters.
            promised:
                Configurations that other trials are going to try, though no trial says so yet.
        """
        if not search_space:
            return {}
        plan = self._plans.get(key_of(trial), _Plan(self._tpe))
        space = (plan.branching or Branching(search_space, {})).within(search_space)
        with _LOCK:
            draws = self._draws(study, trial, plan, space)
            first = next(draws)
            # Read after a fit that takes long: other processes may have chosen meanwhile.
            others = _others(whole(study), trial)
            params = self._first_new(chain([first], draws), space, others, promised)
            if plan.branching is not None or params != first:
                publish_params(study, trial, params)
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        if _is_new(study, trial, param_name):
            return natural_middle(param_distribution)
        plan = self._plans.get(key_of(trial))
        sampler = (plan and plan.sampler) or self._tpe
        return _independent(sampler, study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._tpe.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: State, values: Sequence[float] | None
    ) -> None:
        self._plans.pop(key_of(trial), None)
        self._tpe.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._rng.seed()
        self._tpe.reseed_rng()
        if self._gp is not None:
            self._gp.reseed_rng()

    # --- candidates -------------------------------------------------------------------------

    def _draws(
        self,
        study: Study,
        trial: FrozenTrial,
        plan: _Plan,
        space: Branching,
    ) -> Iterator[dict[str, Any]]:
        """Yield proposals, the best first; an empty one leaves all to `sample_independent`."""
        if plan.sampler is None:
            yield from self._by_numpy(study, trial, space, opens=plan.opens)
        elif plan.sampler is self._gp:
            yield self._by_gp(study, trial, dict(space.space))
        elif plan.branching is None:
            yield in_natural_scale(partial(self._tpe.sample_relative, study, trial), space.space)
        # A process that is sure of its optimum finds it again and again; TPE does not.
        for _ in range(_MAX_REDRAWS):
            yield self._by_tpe(study, trial, space)

    def _by_gp(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        assert self._gp is not None
        if self._gp_names != space.keys():
            forget_constraints(self._gp)  # PartialFixedSampler makes the space smaller
            self._gp_names = set(space)
        wide = relaxed(space)
        seen = gp_study(study, space, wide)
        return rounded(self._gp.sample_relative(seen, trial, wide), space)

    def _by_numpy(
        self, study: Study, trial: FrozenTrial, space: Branching, *, opens: bool
    ) -> Iterator[dict[str, Any]]:
        complete = sampled_trials(study, (TrialState.COMPLETE,))
        placed = [(row, t) for t in complete if (row := space.places(t.params)) is not None]
        others = _others(study, trial)
        if opens or len(placed) < _N_NUMPY_STARTUP:
            tried = [row for t in others if (row := space.places(known_params(t))) is not None]
            yield space.params(space.opening(tried, self._rng))
            yield space.params(space.draw(1, self._rng)[0])
            return
        known = [t for _, t in placed]
        busy = _busy(others)
        maximize = study.direction == StudyDirection.MAXIMIZE
        yield from candidates(space, known, busy, self._rng, maximize=maximize)

    def _by_tpe(self, study: Study, trial: FrozenTrial, space: Branching) -> dict[str, Any]:
        common = self._tpe.infer_relative_search_space(study, trial)
        shared = {name: d for name, d in common.items() if name in space.space}
        params = in_natural_scale(partial(self._tpe.sample_relative, study, trial), shared)
        return space.complete(
            lambda name, distribution: (
                params[name]
                if name in params
                else _independent(self._tpe, study, trial, name, distribution)
            )
        )

    def _first_new(
        self,
        draws: Iterator[dict[str, Any]],
        space: Branching,
        others: Sequence[FrozenTrial],
        promised: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Return the first proposal that is nobody else's and that is near none that runs."""
        is_small = space.size() <= _MAX_GRID
        known, busy = [known_params(trial) for trial in others], Points(_busy(others))
        taken = [*known, *promised]
        proposal: dict[str, Any] = {}
        new: dict[str, Any] | None = None
        for proposal in draws:
            if not proposal and not is_small:
                return proposal
            if proposal and not _is_among(proposal, taken):
                if not busy.has_near(proposal, space.space, _NEAR):
                    return proposal
                new = new or proposal
        if new is not None:
            return new
        rest = space.grid() if is_small else space.draw(_MAX_GRID, self._rng)
        shuffled = [space.params(rest[i]) for i in self._rng.permutation(len(rest))]
        for excluded in (taken, known):
            for params in shuffled:
                if not _is_among(params, excluded):
                    return params
        return proposal


def _independent(
    sampler: BaseSampler,
    study: Study,
    trial: FrozenTrial,
    name: str,
    distribution: BaseDistribution,
) -> Any:
    def sample(scale: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        return {name: sampler.sample_independent(study, trial, name, scale[name])}

    return in_natural_scale(sample, {name: distribution})[name]


def _is_new(study: Study, trial: FrozenTrial, name: str) -> bool:
    """Tell whether a parameter is new to a study: no trial before has it or may ask for it next.

    A trial that runs and has published nothing may. So of trials that begin at once, the first one
    alone finds it new.
    """
    if any(name in other.params for other in _before(trial, sampled_trials(study))):
        return False
    return not any(
        name in known_params(other)
        or (other.state == TrialState.RUNNING and not published_params(other))
        for other in _before(trial, all_trials(study))
    )


def _before(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    return (t for t in trials if t.number < trial.number or t.state.is_finished())


def _is_given(trial: FrozenTrial) -> bool:
    """Tell whether a language model or the user chose a trial's parameters."""
    source = source_kind(trial.user_attrs)
    return bool(fixed_params(trial)) or source in ("llm", "defaults", "history")


def _others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """Read all other trials as they are now."""
    return [other for other in sampled_trials(study, cached=False) if other.number != trial.number]


def _busy(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Return the parameters of the trials that run or wait."""
    return [known_params(trial) for trial in trials if not trial.state.is_finished()]


def _is_among(params: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> bool:
    return any(params.items() <= other.items() for other in others)


def _has_torch() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "scipy"))
