"""Every private name, storage key and version difference of Optuna's that this package relies on.

Each function names the file of Optuna 5.0 to compare it with when Optuna changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from datetime import datetime
import json
from typing import Any, cast, TYPE_CHECKING, TypeAlias
import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import GPSampler, TPESampler
from optuna.trial import FrozenTrial

from . import keys as _keys


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import TrialState


# What identifies a trial in one process.
TrialKey: TypeAlias = tuple[int, datetime | None]

# Where samplers publish the parameters of a running trial, as JSON in pieces: this package's base
# sampler, which has the last word, TPESampler and GPSampler.
_PUBLISHED = (_keys.PARAMS, "tpe:relative_params:", "gp:relative_params:")

# Optuna 4 has no named constraints (``Trial.set_constraint``), and other defaults.
IS_OPTUNA_4 = not hasattr(FrozenTrial, "constraints")


def tpe_sampler(seed: int | None) -> TPESampler:
    """Return TPE as Optuna 5 has it by default: joint, and away from trials that run.

    See ``TPESampler.__init__`` in optuna/samplers/_tpe/sampler.py.
    """
    if not IS_OPTUNA_4:
        return TPESampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def gp_sampler(seed: int | None, *, n_startup_trials: int) -> GPSampler:
    """Return Optuna's Gaussian process, which is experimental in Optuna 4."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(
            seed=seed, n_startup_trials=n_startup_trials, warn_independent_sampling=False
        )


def storage_of(study: Study) -> BaseStorage:
    """Return a study's storage (``Study._storage``, optuna/study/study.py).

    Under ``HyperbandPruner``, a sampler gets a study that shows only the trials of one bracket
    (``_BracketStudy``, optuna/pruners/_hyperband.py). It has no ``user_attrs`` and no
    ``metric_names``, but the same storage as the study itself.
    """
    return study._storage


def study_id_of(study: Study) -> int:
    """Return the id of a study in its storage (``Study._study_id``, optuna/study/study.py)."""
    return study._study_id


def trial_id_of(trial: FrozenTrial) -> int:
    """Return the id of a trial in its storage (``_trial_id``, optuna/trial/_frozen.py).

    Trials of different in-memory storages have the same ids.
    """
    return trial._trial_id


def key_of(trial: FrozenTrial) -> TrialKey:
    """Return what identifies a trial in one process.

    Its id alone does not: trials of different in-memory storages have the same ids, and SQLite
    uses the ids of deleted trials again.
    """
    return trial_id_of(trial), trial.datetime_start


def all_trials(study: Study) -> list[FrozenTrial]:
    """Read all trials of a study, uncopied; under ``HyperbandPruner`` those of all brackets."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def sampled_trials(
    study: Study, states: Container[TrialState] | None = None, *, cached: bool = True
) -> list[FrozenTrial]:
    """Return the trials that Optuna's samplers see, uncopied (``Study._get_trials``).

    Args:
        study:
            The study that the sampler was given.
        states:
            States of the trials to return; by default all.
        cached:
            Whether trials may be as old as the current trial: they are then read from the storage
            once per trial and thread (optuna/study/study.py).
    """
    return study._get_trials(deepcopy=False, states=states, use_cache=cached)


class StudyView:
    """A study that shows Optuna's samplers other trials than it has.

    Args:
        study:
            The study.
        shown:
            Returns of some of its trials what is shown.
    """

    def __init__(
        self, study: Study, shown: Callable[[Sequence[FrozenTrial]], list[FrozenTrial]]
    ) -> None:
        self.whole = study
        self._shown = shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        found = self.whole._get_trials(deepcopy=deepcopy, states=states, use_cache=use_cache)
        return self._shown(found)


def viewed(study: Study, shown: Callable[[Sequence[FrozenTrial]], list[FrozenTrial]]) -> Study:
    """Return the study as a sampler is to see it, see :class:`StudyView`."""
    return cast("Study", StudyView(study, shown))


def without(study: Study, hidden: Collection[int]) -> Study:
    """Return the study as if some trials were not there."""
    if not hidden:
        return study
    numbers = frozenset(hidden)
    return viewed(study, lambda trials: [t for t in trials if t.number not in numbers])


def whole(study: Study) -> Study:
    """Return the study with all its trials."""
    return study.whole if isinstance(study, StudyView) else study


def fixed_params(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return the parameters of an enqueued trial (``enqueue_trial``, optuna/study/study.py)."""
    found = trial.system_attrs.get("fixed_params")
    return found if isinstance(found, Mapping) else {}


def published_params(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters that a base sampler has chosen for a running trial.

    See ``_RELATIVE_PARAMS_KEY`` in optuna/samplers/_tpe/sampler.py and _gp/sampler.py.
    """
    attrs = trial.system_attrs
    for prefix in _PUBLISHED:
        keys = sorted((key for key in attrs if key.startswith(prefix)), key=lambda k: (len(k), k))
        try:
            params = json.loads("".join(str(attrs[key]) for key in keys)) if keys else None
        except ValueError:  # some of the pieces are still missing
            continue
        if isinstance(params, dict):
            return params
    return {}


def publish_params(study: Study, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
    """Tell other workers which parameters a trial is going to have, as Optuna's samplers do."""
    try:
        text = json.dumps(params)
    except TypeError:  # a choice that is no JSON
        return
    if len(text) <= _keys.MAX_BYTES:
        storage_of(study).set_trial_system_attr(trial_id_of(trial), f"{_keys.PARAMS}0", text)


def known_params(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's parameters, with those that it is going to have while it is unfinished."""
    if trial.state.is_finished():
        return trial.params
    return {**published_params(trial), **fixed_params(trial), **trial.params}


def constraints_of(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's constraint values by name; a value above 0 violates its constraint.

    Constraints have names from Optuna 5.0 on. Optuna 4 keeps the values of a ``constraints_func``
    as a list (optuna/study/_constrained_optimization.py); their names are then their positions.
    """
    if not IS_OPTUNA_4:
        return dict(trial.constraints)
    values = trial.system_attrs.get("constraints") or ()
    return {str(position): value for position, value in enumerate(values)}


def metric_names_of(study_attrs: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the objectives in a study's system attributes, if the user gave any.

    See _SYSTEM_ATTR_METRIC_NAMES in optuna/study/study.py.
    """
    names = study_attrs.get("study:metric_names")
    return [str(name) for name in names] if isinstance(names, list) else None


def n_rungs_passed(trial: FrozenTrial) -> int:
    """Count the rungs that ``SuccessiveHalvingPruner`` or ``HyperbandPruner`` let a trial pass.

    See optuna/pruners/_successive_halving.py. The bracket is known to the pruner only.
    """
    return sum(key.startswith("completed_rung_") for key in trial.system_attrs)


def contains(distribution: BaseDistribution, internal: float) -> bool:
    """Tell whether a distribution has a value, as Optuna stores it.

    See ``BaseDistribution._contains`` in optuna/distributions.py. Optuna replaces a relative
    value that is not contained by a random one (``Trial._is_relative_param``).
    """
    return distribution._contains(internal)


def forget_constraints(sampler: GPSampler) -> None:
    """Drop the kernels of constraints that a sampler keeps, as its space has changed.

    Optuna drops only the kernels of the objectives (``_get_constraints_acqf_args``,
    optuna/samplers/_gp/sampler.py).
    """
    sampler._constraints_gprs_cache_list = None
