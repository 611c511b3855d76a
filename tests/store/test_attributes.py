"""Names of user attributes: those that MLflow takes, and those of older studies."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
import re
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import create_trial, Trial
import pytest

from optuna_llm_sampler import LLMSampler, record_failures, usage
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler._study import keys as _keys
from optuna_llm_sampler._study.ranking import Results
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.testing import FakeLLM
from optuna_llm_sampler.visualization import plot_sources

from ..support.studies import knowing, rough, tuned


NAMES = [
    _keys.SOURCE,
    _keys.WHY,
    _keys.ADVICE,
    _keys.REPAIRED,
    _keys.FROM_BASE,
    _keys.ERROR,
]
MLFLOW = importlib.util.find_spec("mlflow") and importlib.util.find_spec("optuna_integration")


def renamed(attrs: dict[str, Any]) -> dict[str, Any]:
    """The same attributes by the names that they had at first."""
    return {re.sub("^llm_", "llm:", name): value for name, value in attrs.items()}


def aged(study: Study) -> Study:
    """A study as it would be if it had been made when the names had a colon."""
    old = optuna.create_study(directions=study.directions, study_name=f"old {study.study_name}")
    for trial in study.trials:
        old.add_trial(
            create_trial(
                state=trial.state,
                values=trial.values,
                params=trial.params,
                distributions=trial.distributions,
                intermediate_values=trial.intermediate_values,
                system_attrs=trial.system_attrs,
                user_attrs=renamed(trial.user_attrs),
            )
        )
    return old


@pytest.fixture(scope="module")
def study() -> Study:
    return tuned(30, of=record_failures(rough))


@pytest.fixture(scope="module")
def old(study: Study) -> Study:
    made = aged(study)
    assert not any(name in trial.user_attrs for trial in made.trials for name in NAMES)
    return made


# --- MLflow ---------------------------------------------------------------------------------


def forgetful(request: Request) -> str:
    """A model that leaves a parameter out, and proposes an illegal value."""
    return json.dumps({"configs": [{"x": 1e9, "why": "far out"}]})


@pytest.mark.skipif(not MLFLOW, reason="needs mlflow and optuna-integration")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_optunas_callback_logs_a_study_to_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    import mlflow.utils.validation
    from optuna_integration.mlflow import MLflowCallback

    # Where it takes fewer names.
    monkeypatch.setattr(mlflow.utils.validation, "is_windows", lambda: True)

    @record_failures
    def objective(trial: Trial) -> float:
        value = trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)
        if trial.number == 2:
            raise MemoryError("out of memory")
        return value

    before = mlflow.get_tracking_uri()
    study = optuna.create_study(sampler=LLMSampler(FakeLLM(forgetful), seed=0))
    callback = MLflowCallback(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    study.optimize(objective, n_trials=3, callbacks=[callback], catch=MemoryError)
    assert set().union(*(trial.user_attrs for trial in study.trials)) >= {
        _keys.SOURCE,
        _keys.WHY,
        _keys.ADVICE,
        _keys.REPAIRED,
        _keys.ERROR,
    }
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(study.study_name)
    runs = client.search_runs([experiment.experiment_id])
    tags = {run.data.tags["number"]: run.data.tags for run in runs}
    mlflow.set_tracking_uri(before)
    assert len(tags) == 3
    for trial in study.trials:
        shown = {name: str(value) for name, value in trial.user_attrs.items()}
        assert shown.items() <= tags[str(trial.number)].items()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_one_that_mlflow_takes_as_a_tag_on_any_system(name: str) -> None:
    # mlflow/utils/validation.py, validate_param_and_metric_name, as it is for Windows.
    assert re.fullmatch(r"[/\w.\- ]*", name)


def test_no_other_names_are_written(study: Study) -> None:
    assert set().union(*(trial.user_attrs for trial in study.trials)) <= set(NAMES)


# --- studies with the names of old ----------------------------------------------------------


def test_the_report_reads_the_old_names(study: Study, old: Study) -> None:
    then, now = report(old), report(study)
    assert then.trials == now.trials
    assert then.sources == now.sources
    assert then.advice == now.advice
    assert usage(old).sources == usage(study).sources
    assert {line.source for line in then.trials} >= {"llm", "base"}


def test_plots_read_the_old_names(study: Study, old: Study) -> None:
    pytest.importorskip("plotly")

    def shown(of: Study) -> list[Any]:
        return [(trace.name, trace.x, trace.y) for trace in plot_sources(of).data]

    assert repr(shown(old)) == repr(shown(study))
    assert "Language model" in [name for name, _, _ in shown(old)]


def test_the_model_is_judged_by_the_old_names(study: Study, old: Study) -> None:
    found = []
    for one in (old, study):
        results = Results(one.directions)
        for trial in one.trials:
            results.add(trial)
        found.append(results.latest(0))
    assert found[0] == found[1]
    assert any(result.is_models for result in found[0])


def test_a_running_trial_is_whose_the_old_name_says() -> None:
    study = optuna.create_study()
    study.ask().set_user_attr("llm:source", "llm")
    (running,) = AdviceStore.of(study).read().running
    assert running.source == "llm"


def test_a_study_that_is_resumed_tells_the_model_as_much(study: Study, old: Study) -> None:
    asked = []
    for before in (aged(study), study):
        requests: list[Request] = []

        def answer(request: Request, requests: list[Request] = requests) -> str:
            requests.append(request)
            return knowing(request)

        resumed = optuna.create_study(
            directions=before.directions, sampler=LLMSampler(FakeLLM(answer), seed=0)
        )
        # Without the first one, so that no record lies on its own trial: the model is asked again.
        resumed.add_trials(before.trials[1:])
        resumed.optimize(rough, n_trials=1)
        asked.append([request.messages for request in requests])
    assert asked[0] == asked[1]
    assert "MemoryError: CUDA out of memory" in str(asked[0])


def test_the_new_name_counts_where_a_trial_has_both() -> None:
    attrs = {"llm:source": "base", "llm_source": "llm"}
    assert _keys.read(attrs, _keys.SOURCE) == "llm"
    assert _keys.read({"llm:from_base": "x"}, _keys.FROM_BASE) == "x"
    assert _keys.read({}, _keys.REPAIRED, 0) == 0
