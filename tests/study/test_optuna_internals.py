"""What the installed Optuna stores is what we read, on its real studies."""

from __future__ import annotations

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import create_trial, FrozenTrial, Trial
import pytest

from optuna_llm_sampler._study import optuna_internals

from ..support.versions import needs_optuna_5


SPACE = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 9)}


def frozen(study: Study, trial: Trial) -> FrozenTrial:
    return optuna_internals.all_trials(study)[trial.number]


def test_the_parameters_of_an_enqueued_trial() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.enqueue_trial({"x": 0.25})
    enqueued, drawn = study.ask(), study.ask(SPACE)
    assert optuna_internals.fixed_params(frozen(study, enqueued)) == {"x": 0.25}
    assert optuna_internals.known_params(frozen(study, enqueued)) == {"x": 0.25}
    assert optuna_internals.fixed_params(frozen(study, drawn)) == {}
    assert optuna_internals.known_params(frozen(study, drawn)) == drawn.params


def test_parameters_that_tpe_has_chosen_are_known_before_they_are_suggested() -> None:
    sampler = TPESampler(seed=0, n_startup_trials=1, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    for _ in range(2):
        study.tell(study.ask(SPACE), 0.0)
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    known = optuna_internals.known_params(frozen(study, trial))
    assert known == {"x": x, "n": trial.suggest_int("n", 1, 9)}


@pytest.mark.parametrize("n_chars", [10, 50_000])
def test_published_parameters_are_read_back(n_chars: int) -> None:
    study = optuna.create_study()
    trial = study.ask()
    params = {"x": 0.5, "text": "x" * n_chars}
    optuna_internals.publish_params(study, frozen(study, trial), params)
    assert optuna_internals.published_params(frozen(study, trial)) == params


def test_a_published_configuration_of_which_pieces_are_missing_is_unknown() -> None:
    attrs = {"tpe:relative_params:0": '{"x": 0.', "gp:relative_params:0": '{"x": 0.5}'}
    trial = create_trial(value=0.0, system_attrs=attrs)
    assert optuna_internals.published_params(trial) == {"x": 0.5}
    trial.system_attrs["tpe:relative_params:1"] = "25}"
    assert optuna_internals.published_params(trial) == {"x": 0.25}


@needs_optuna_5
def test_constraints_have_names() -> None:
    study = optuna.create_study()
    trial = study.ask()
    trial.set_constraint("memory", 2.0)
    assert optuna_internals.constraints_of(frozen(study, trial)) == {"memory": 2.0}


def test_constraints_of_a_function_are_numbered() -> None:
    trial = create_trial(value=0.0, system_attrs={"constraints": [1.0, -2.0]})
    assert optuna_internals.constraints_of(trial) == {"0": 1.0, "1": -2.0}
    assert optuna_internals.constraints_of(create_trial(value=0.0)) == {}


def test_metric_names_and_rungs() -> None:
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    study = optuna.create_study(pruner=pruner)
    study.set_metric_names(["loss"])
    trial = study.ask()
    for step in (1, 2, 3):
        trial.report(0.0, step)
        trial.should_prune()
    found = frozen(study, trial)
    assert optuna_internals.n_rungs_passed(found) == 2
    storage, study_id = optuna_internals.storage_of(study), optuna_internals.study_id_of(study)
    attrs = storage.get_study_system_attrs(study_id)
    assert optuna_internals.metric_names_of(attrs) == ["loss"]
    assert optuna_internals.metric_names_of({}) is None


def test_what_optuna_would_replace_is_not_contained() -> None:
    assert optuna_internals.contains(SPACE["x"], 1.0)
    assert not optuna_internals.contains(SPACE["x"], 1.5)
    assert not optuna_internals.contains(SPACE["n"], 2.5)
