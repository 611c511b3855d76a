"""The benchmark of branches, constraints, failures and transfer, on a model of made-up words."""

from __future__ import annotations

import json

import optuna
from optuna.trial import create_trial, FixedTrial, TrialState
import pytest

from benchmarks.spaces import __main__ as program, intents
from benchmarks.spaces.problems import best_so_far, conditional, failing
from benchmarks.spaces.trade_off import volumes
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


def test_only_feasible_complete_trials_count() -> None:
    trials = [
        create_trial(state=TrialState.FAIL),
        create_trial(value=0.1, system_attrs={"constraints:c": 2.0}),
        create_trial(value=0.5, system_attrs={"constraints:c": -1.0}),
        create_trial(value=0.0),
    ]
    assert best_so_far(trials) == [1.0, 1.0, 0.5, 0.0]


def test_the_hypervolume_of_accuracy_and_seconds() -> None:
    trials = [create_trial(values=values) for values in ([0.5, 5.0], [0.25, 2.5], [0.6, 9.0])]
    assert volumes(trials, 10.0) == pytest.approx([0.25, 0.3125, 0.3225])


def test_the_halves_of_the_intents_have_none_in_common() -> None:
    (first, _), (second, validation) = intents.halves("corpus")
    assert not set(first.labels) & set(second.labels)
    assert set(validation.labels) <= set(second.labels)


def test_what_does_not_fit_into_memory_fails_with_a_reason() -> None:
    study = optuna.create_study()
    big = {"hidden_units": 500, "batch_size": 100, "learning_rate": 1e-3, "alpha": 1e-4}
    study.enqueue_trial({**big, "max_iter": 2})
    study.optimize(failing().objective, n_trials=1, catch=MemoryError)
    reason = "MemoryError: cannot allocate activations: 100 rows of 500 units"
    assert study.trials[0].user_attrs["llm_error"] == reason


def test_the_branches_are_those_that_the_objective_asks_for() -> None:
    problem = conditional()
    point = {"model": "svm", "svm_C": 1.0, "svm_gamma": 1e-3}
    assert problem.objective(FixedTrial(point)) < 0.1  # type: ignore[arg-type]
    svm = [name for name, where in problem.conditions.items() if where == {"model": ["svm"]}]
    assert sorted(svm) == ["svm_C", "svm_gamma"]


def test_the_program_prints_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: Request) -> str:
        assert request.schema is not None
        return json.dumps({"configs": [{"model": "svm", "svm_C": 1.0, "svm_gamma": 1e-3}]})

    monkeypatch.setattr(program, "LocalLLM", lambda model: FakeLLM(answer))
    program.main(["conditional", "--seeds", "1", "--trials", "1"])
    shown = capsys.readouterr().out
    assert "| best error so far | trial 1 |" in shown
    assert "1 of the model, 0 of them completed by the base sampler" in shown
    assert "by branch: svm 1" in shown
