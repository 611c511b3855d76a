"""The sampler as Optuna sees it, on models whose words are made up."""

from __future__ import annotations

from collections.abc import Callable
import inspect
import json
import logging
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
import pytest

from optuna_llm_sampler import DefaultBaseSampler, LLMSampler, usage
from optuna_llm_sampler._sampler import progress as _progress
from optuna_llm_sampler.errors import AuthenticationError, RateLimitError
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.fakes import fake, guesser, properties
from ..support.mixed import objective, params, POINT, run, sampler_on, says, sources, SPACE


# --- whose trial is it ----------------------------------------------------------------------


def test_the_first_trial_is_the_models_when_the_space_is_given() -> None:
    study = run(sampler_on(says({**POINT, "why": "known to work"}), search_space=SPACE), 1)
    assert study.trials[0].params == POINT
    assert study.trials[0].user_attrs == {
        "llm_source": "llm",
        "llm_advice": "trial 0, block 0, config 0",
        "llm_why": "known to work",
    }


def test_without_a_space_the_second_trial_is() -> None:
    study = run(sampler_on(says(POINT), seed=0), 2)
    assert sources(study) == ["base", "llm"]
    assert study.trials[1].params == POINT


def test_a_failed_trial_shows_the_space_too() -> None:
    study = optuna.create_study(sampler=sampler_on(says(POINT), seed=0))
    study.optimize(lambda t: objective(t) / 0, n_trials=1, catch=ZeroDivisionError)
    study.optimize(objective, n_trials=1)
    assert study.trials[1].params == POINT


def test_defaults_are_tried_first_and_cost_the_model_nothing() -> None:
    start = {"x": 9.0, "y": 1e-2, "n": 1, "kind": None}
    for space in (SPACE, None):
        study = run(sampler_on(says(POINT), defaults=start, search_space=space, seed=0), 2)
        assert params(study) == [start, POINT]
        assert sources(study) == ["defaults", "llm"]


def test_partial_defaults_are_completed_by_the_base_sampler() -> None:
    start = {"x": 9.0}
    study = run(sampler_on(says(POINT), defaults=start, search_space=SPACE, seed=0), 1)
    assert study.trials[0].params["x"] == 9.0
    assert study.trials[0].user_attrs["llm_from_base"] == "kind, n, y"


def test_every_trial_says_where_it_is_from_and_which_advice_it_had() -> None:
    llm = fake()
    sampler = sampler_on(llm, search_space=SPACE, llm_share=0.2)
    study = run(sampler, 60)
    assert sources(study)[0] == "llm"
    assert set(sources(study)) == {"llm", "base"}
    assert len(llm.requests) <= 8
    advice = [t.user_attrs["llm_advice"] for t in study.trials if "llm_advice" in t.user_attrs]
    assert len(set(advice)) == len(advice) == sources(study).count("llm")
    assert usage(study).calls == len(llm.requests)
    assert usage(study).sources == {"llm": len(advice), "base": 60 - len(advice)}


def test_a_small_share_means_few_calls() -> None:
    llm = fake()
    study = run(
        sampler_on(llm, search_space=SPACE, base_sampler=RandomSampler(), llm_share=0.01), 60
    )
    assert sources(study) == ["llm"] + ["base"] * 59
    assert len(llm.requests) == 1


@pytest.mark.parametrize("verbosity", [optuna.logging.INFO, optuna.logging.WARNING])
def test_what_trials_wait_for_is_said_once(
    verbosity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    shown = threading.Event()

    def say(message: str) -> None:
        said.append(message)
        shown.set()

    def answer(request: Request) -> str:
        shown.wait(0.5)
        return says(POINT).complete(request).texts[0]

    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(_progress._logger, "info", say)
    optuna.logging.set_verbosity(verbosity)
    study = run(sampler_on(FakeLLM(answer), search_space=SPACE, timeout=30.0), 1)
    assert sources(study) == ["llm"]
    loud = verbosity == optuna.logging.INFO
    assert said == ["Waiting for the language model's advice, 30 s at most."] * loud


def test_a_small_model_is_asked_once() -> None:
    llm = FakeLLM(
        lambda request: f"x={random.uniform(-9, 9)}, y=3e-4, n=2, kind='a')", style="code"
    )
    study = run(sampler_on(llm, search_space=SPACE), 40)
    assert sources(study) == ["llm"] * 5 + ["base"] * 35
    assert len(llm.requests) == 1
    assert "1e-05" not in llm.requests[0].messages[1]["content"]  # bounds are not shown to it


def test_an_enqueued_trial_is_named_so() -> None:
    study = optuna.create_study(sampler=sampler_on(says(POINT), search_space=SPACE))
    study.enqueue_trial({**POINT, "x": 0.0})
    study.optimize(objective, n_trials=1)
    assert sources(study) == ["enqueued"]


def test_a_repaired_value_is_counted_on_the_trial() -> None:
    study = run(sampler_on(says({**POINT, "x": 99, "n": "4"}), search_space=SPACE), 1)
    assert study.trials[0].params == {**POINT, "x": 10.0}
    assert study.trials[0].user_attrs["llm_repaired"] == 2


def test_what_the_model_left_out_comes_from_the_base_sampler() -> None:
    study = run(sampler_on(says({"x": 1.5, "kind": "swish"}), search_space=SPACE, seed=0), 1)
    assert study.trials[0].params["x"] == 1.5
    assert study.trials[0].user_attrs["llm_from_base"] == "kind, n, y"


def test_a_known_configuration_is_not_run_again() -> None:
    study = run(sampler_on(says(POINT, POINT), search_space=SPACE, seed=0), 3)
    assert sources(study) == ["llm", "fallback:unusable_answer", "fallback:unusable_answer"]
    other = sampler_on(says(POINT), search_space=SPACE, seed=0)
    study.sampler = other
    study.optimize(objective, n_trials=1)
    assert params(study).count(POINT) == 1


def test_a_conditional_branch_is_answered_from_the_same_proposal() -> None:
    def conditional(trial: Trial) -> float:
        if trial.suggest_categorical("model", ["svm", "forest"]) == "svm":
            return trial.suggest_float("c", 1e-3, 1e3, log=True)
        return trial.suggest_int("depth", 1, 32)

    def handler(request: Request) -> str:
        if "depth" not in properties(request) or "c" not in properties(request):
            return '{"configs": []}'
        configs = [{"model": "svm", "c": 1.0, "depth": None}, {"model": "forest", "depth": 7}]
        return json.dumps({"configs": configs})

    space = {
        "model": CategoricalDistribution(["svm", "forest"]),
        "c": FloatDistribution(1e-3, 1e3, log=True),
        "depth": IntDistribution(1, 32),
    }
    study = optuna.create_study(sampler=sampler_on(FakeLLM(handler), search_space=space, seed=0))
    study.optimize(conditional, n_trials=2)
    assert params(study) == [{"model": "svm", "c": 1.0}, {"model": "forest", "depth": 7}]
    assert sources(study) == ["llm", "llm"]


def test_bounds_that_move_revalidate_a_proposal() -> None:
    study = optuna.create_study(sampler=sampler_on(says({"x": 8.0}, {"x": 9.0}), seed=0))
    study.optimize(lambda t: t.suggest_float("x", 0, 10), n_trials=2)
    study.optimize(lambda t: t.suggest_float("x", 0, 5), n_trials=1)
    assert [t.params["x"] for t in study.trials[1:]] == [8.0, 5.0]


# --- never worse than the base sampler ------------------------------------------------------

BASES: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=7),
    "tpe": lambda: TPESampler(seed=7),
    "group": lambda: TPESampler(seed=7, multivariate=True, group=True),
    "default": lambda: DefaultBaseSampler(seed=7),
    "gp": lambda: optuna.samplers.GPSampler(seed=7, n_startup_trials=3),
    "nsgaii": lambda: optuna.samplers.NSGAIISampler(seed=7),
}


def dead(request: Request) -> str:
    raise AuthenticationError("no key")


@pytest.mark.parametrize("base", list(BASES))
def test_a_dead_or_idle_model_changes_nothing(base: str) -> None:
    if base == "gp":
        pytest.importorskip("torch")
    n = 8 if base in ("default", "gp") else 14  # a Gaussian process takes its time
    alone = run(BASES[base](), n)
    off = run(sampler_on(says(POINT), base_sampler=BASES[base](), llm_share=0), n)
    broken = run(LLMSampler(FakeLLM(dead), base_sampler=BASES[base](), search_space=SPACE), n)
    assert params(off) == params(alone) == params(broken)
    assert set(sources(off)) == {"base"}
    assert "fallback:authentication" in sources(broken)


@pytest.mark.parametrize("base", list(BASES))
def test_without_a_space_a_dead_model_changes_the_first_trial_only(base: str) -> None:
    # Samplers with a memory go on from other results: what they draw is another draw.
    alone = run(BASES[base](), 3)
    broken = run(LLMSampler(FakeLLM(dead), base_sampler=BASES[base]()), 3)
    assert sources(broken) == ["base", *["fallback:authentication"] * 2]
    assert params(broken)[0] == {"x": 0.0, "y": pytest.approx(1e-3), "n": 5, "kind": "a"}
    if base == "random":
        assert params(broken)[1:] == params(alone)[:2]


def test_the_model_is_not_built_when_it_has_no_share() -> None:
    study = run(LLMSampler("local/no-such-file.gguf", llm_share=0, seed=1), 3)
    assert sources(study) == ["base"] * 3


def test_the_base_sampler_is_told_everything() -> None:
    told: list[str] = []

    class Base(RandomSampler):
        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            told.append("before_trial")

        def after_trial(self, study: Study, trial: FrozenTrial, state: Any, values: Any) -> None:
            told.append(f"after_trial {state.name} {values}")

        def reseed_rng(self) -> None:
            told.append("reseed_rng")

        def infer_relative_search_space(
            self, study: Study, trial: FrozenTrial
        ) -> dict[str, BaseDistribution]:
            told.append("infer")
            return {}

    sampler = sampler_on(says({"x": 3.0}), base_sampler=Base())
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: t.suggest_float("x", 3.0, 4.0), n_trials=1)
    sampler.reseed_rng()
    assert told[:2] == ["before_trial", "infer"]
    assert told[2].startswith("after_trial COMPLETE [3.")
    assert told[3:] == ["reseed_rng"]


def test_the_default_base_sampler_repeats_nothing_when_it_goes_over_to_tpe() -> None:
    def pruned(trial: Trial) -> float:
        value = objective(trial)
        if trial.number == 3:
            trial.report(value, 0)
            raise optuna.TrialPruned
        return value

    study = optuna.create_study(sampler=DefaultBaseSampler(seed=7))
    study.optimize(pruned, n_trials=8)
    assert len({trial.params["x"] for trial in study.trials}) == 8


@pytest.mark.parametrize(("n", "base"), [(49, "gp"), (50, "tpe")])
def test_the_default_base_sampler_goes_over_to_tpe(n: int, base: str) -> None:
    pytest.importorskip("torch")
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    for i in range(n):
        study.add_trial(
            optuna.trial.create_trial(params={"x": i / n}, distributions=space, value=i)
        )
    study.ask(space)
    assert f"{base}:relative_params:0" in study.trials[-1].system_attrs


# --- failures of the model ------------------------------------------------------------------

LECTURE = "Hyperparameter tuning is an art. First, consider your data."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (LECTURE, "unusable_answer"),
        ('{"configs": []}', "unusable_answer"),
        ('{"configs": [{"x": NaN}]}', "unusable_answer"),
        ('{"configs": [{"learning_rate": 1}]}', "unusable_answer"),
        ('{"configs": [{"x": 1.', "unusable_answer"),
    ],
)
def test_a_useless_answer_is_asked_for_once_more(answer: str, reason: str) -> None:
    llm = FakeLLM(lambda request: answer)
    study = run(sampler_on(llm, search_space=SPACE, seed=0), 1)
    assert sources(study) == [f"fallback:{reason}"]
    assert len(llm.requests) == 2
    assert "could not be used" in llm.requests[1].messages[-1]["content"]


def test_one_warning_with_a_hint() -> None:
    warnings: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())

    listener = Listener(level=logging.WARNING)
    logging.getLogger("optuna").addHandler(listener)
    try:
        llm = FakeLLM(dead)
        study = run(sampler_on(llm, search_space=SPACE), 20)
    finally:
        logging.getLogger("optuna").removeHandler(listener)
    assert len(warnings) == 1
    assert "OPENAI_API_KEY" in warnings[0]
    assert len(llm.requests) == 1  # a dead key is not tried again
    assert sources(study).count("fallback:authentication") >= 5


def test_a_passing_failure_passes() -> None:
    answers = iter([RateLimitError("slow down")])

    def handler(request: Request) -> str:
        error = next(answers, None)
        if error is not None:
            raise error
        return json.dumps({"configs": [POINT, {**POINT, "x": 2.0}]})

    study = run(sampler_on(FakeLLM(handler), search_space=SPACE, seed=0), 2)
    assert sources(study) == ["fallback:rate_limit", "llm"]


def test_an_error_in_a_back_end_does_not_stop_the_study() -> None:
    def broken(request: Request) -> str:
        raise RuntimeError("bug")

    study = run(sampler_on(FakeLLM(broken), search_space=SPACE, seed=0), 3)
    assert sources(study) == ["fallback:internal"] * 3


def test_keyboard_interrupt_passes() -> None:
    def handler(request: Request) -> str:
        raise KeyboardInterrupt

    study = optuna.create_study(sampler=sampler_on(FakeLLM(handler), search_space=SPACE, seed=0))
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)


def test_a_slow_model_is_not_waited_for_and_its_answer_not_lost() -> None:
    gate = threading.Event()

    def handler(request: Request) -> str:
        gate.wait(30)
        return json.dumps({"configs": [{**POINT, "x": float(i)} for i in range(8)]})

    llm = FakeLLM(handler)
    study = optuna.create_study(
        sampler=sampler_on(llm, search_space=SPACE, timeout=0, n_configs=4, seed=0)
    )
    study.optimize(objective, n_trials=2)
    assert sources(study) == ["fallback:not_ready"] * 2
    gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("optuna-llm-sampler"):
            thread.join()
    study.optimize(objective, n_trials=2)
    assert sources(study)[2:] == ["llm", "llm"]
    assert len(llm.requests) == 1


# --- reproducibility and processes ----------------------------------------------------------


def test_same_seed_same_study() -> None:
    studies = [run(sampler_on(fake(3), search_space=SPACE, seed=5), 14) for _ in range(2)]
    assert params(studies[0]) == params(studies[1])
    assert sources(studies[0]) == sources(studies[1])


_SCRIPT = """
import json, optuna
from optuna_llm_sampler import LLMSampler
from tests.support.fakes import fake
from tests.support.mixed import objective, sampler_on
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=sampler_on(fake(3), seed=5))
study.optimize(objective, n_trials=9)
print(json.dumps([[t.params, t.user_attrs] for t in study.trials]))
"""


def test_same_seed_same_study_in_other_processes() -> None:
    outputs = set()
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_a_pickled_sampler_goes_on() -> None:
    llm = FakeLLM(_answer_point)
    sampler = sampler_on(llm, search_space=SPACE, base_sampler=RandomSampler(seed=3), seed=0)
    study = run(sampler, 1)
    study.sampler = pickle.loads(pickle.dumps(sampler))
    study.optimize(objective, n_trials=1)
    assert sources(study) == ["llm", "fallback:unusable_answer"]


def _answer_point(request: Request) -> str:
    return json.dumps({"configs": [POINT]})


def test_a_pickle_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key-0123456789")
    sampler = LLMSampler("openai/some-model", search_space=SPACE)
    assert b"planted" not in pickle.dumps(sampler)
    assert "planted" not in repr(sampler)


def test_threads() -> None:
    llm = fake()
    study = optuna.create_study(sampler=sampler_on(llm, search_space=SPACE, llm_share=1.0))
    study.optimize(objective, n_trials=24, n_jobs=2)
    advice = [t.user_attrs["llm_advice"] for t in study.trials if "llm_advice" in t.user_attrs]
    assert len(set(advice)) == len(advice) >= 16
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


# --- other parts of Optuna ------------------------------------------------------------------


def test_hyperband_hides_trials_but_not_advice() -> None:
    def pruned(trial: Trial) -> float:
        value = objective(trial)
        for step in range(3):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    llm = fake()
    study = optuna.create_study(
        sampler=sampler_on(llm, search_space=SPACE, llm_share=1.0),
        pruner=optuna.pruners.HyperbandPruner(max_resource=3, reduction_factor=2),
    )
    study.optimize(pruned, n_trials=20)
    assert sources(study) == ["llm"] * 20
    assert len({t.user_attrs["llm_advice"] for t in study.trials}) == 20
    assert len(llm.requests) == 6  # the first answer serves one trial, the others four


def test_partially_fixed() -> None:
    sampler = sampler_on(says(POINT), search_space=SPACE, seed=0)
    fixed = optuna.samplers.PartialFixedSampler({"x": 0.5}, sampler)
    assert run(fixed, 1).trials[0].params == {**POINT, "x": 0.5}


def test_ask_and_tell_waits_for_nobody() -> None:
    sampler = sampler_on(fake(), search_space=SPACE, seed=0)
    study = optuna.create_study(sampler=sampler)
    trials = [study.ask() for _ in range(3)]
    for trial in reversed(trials):
        study.tell(trial, objective(trial))
    assert sources(study) == ["llm"] * 3
    for _ in range(2):
        study.ask(SPACE)
    assert sources(study) == ["llm"] * 3 + ["base", "llm"]


def test_several_objectives() -> None:
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=sampler_on(fake(), seed=0)
    )
    study.optimize(lambda t: (objective(t), 1.0), n_trials=14)
    assert sources(study)[:6] == ["base"] + ["llm"] * 5


def test_resumed_and_copied_studies_use_the_advice_that_is_there() -> None:
    llm = fake()
    storage = optuna.storages.InMemoryStorage()
    study = run(sampler_on(llm, search_space=SPACE, seed=0), 3, storage=storage, study_name="a")
    optuna.copy_study(
        from_study_name="a", from_storage=storage, to_storage=storage, to_study_name="b"
    )
    for name in ("a", "b"):
        study = optuna.load_study(
            study_name=name, storage=storage, sampler=sampler_on(llm, search_space=SPACE, seed=1)
        )
        study.optimize(objective, n_trials=1)
        assert study.trials[3].user_attrs["llm_advice"] == "trial 1, block 1, config 1"
    assert len(llm.requests) == 2


# --- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"llm": "gpt-4"},
        {"llm": ""},
        {"llm": 5},
        {"task": None},
        {"param_notes": {"x": 1}},
        {"param_notes": "x"},
        {"defaults": [1]},
        {"defaults": {"z": 1}, "search_space": SPACE},
        {"defaults": {"n": 99}, "search_space": SPACE},
        {"search_space": {"x": (0, 1)}},
        {"conditions": {"x": {"kind": ["a"]}}},
        {"conditions": [1], "search_space": SPACE},
        {"conditions": {"x": {"kind": ["z"]}}, "search_space": SPACE},
        {"conditions": {"kind": {"n": [1]}, "n": {"kind": ["a"]}}, "search_space": SPACE},
        {"history": "x"},
        {"history": [1]},
        {"base_sampler": "tpe"},
        {"llm_share": 1.5},
        {"llm_share": float("nan")},
        {"n_configs": 0},
        {"n_configs": True},
        {"timeout": -1},
        {"timeout": float("inf")},
        {"prefetch": "yes"},
        {"budget": 5},
        {"prices": {"openai/m": 1.0}},
        {"on_call": "print"},
        {"share_user_attrs": "loss"},
        {"share_user_attrs": ["a"] * 9},
        {"redact": "x"},
        {"seed": -1},
        {"seed": 1.0},
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        LLMSampler(**arguments)


def test_the_example_of_the_docstring_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_LLM", "off")
    _, example = inspect.getdoc(LLMSampler).split(".. code-block:: python")  # type: ignore[union-attr]
    names: dict[str, Any] = {}
    exec(textwrap.dedent(example), names)
    assert len(names["study"].trials) == 20


def test_optuna_llm_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_LLM", "nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        LLMSampler()
    monkeypatch.setenv("OPTUNA_LLM", "openai/some-model")
    assert "OPTUNA_LLM" in repr(LLMSampler())
    monkeypatch.delenv("OPTUNA_LLM")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert "OPENAI_API_KEY is set" in repr(LLMSampler())
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "neither" in repr(LLMSampler())


@pytest.mark.parametrize("word", ["off", "none", "0", " OFF "])
@pytest.mark.parametrize("from_outside", [True, False])
def test_the_model_can_be_turned_off(
    word: str, from_outside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith("optuna.optuna_llm_sampler"):
                lines.append(f"{record.levelname} {record.getMessage()}")

    llm = FakeLLM(guesser(1))
    if from_outside:
        monkeypatch.setenv("OPTUNA_LLM", word)
    logging.getLogger("optuna").addHandler(listener := Listener())
    try:
        sampler = LLMSampler(
            llm if from_outside else word, search_space=SPACE, base_sampler=TPESampler(seed=0)
        )
        study = run(sampler, 14)
    finally:
        logging.getLogger("optuna").removeHandler(listener)
    assert sources(study) == ["base"] * 14
    assert params(study) == params(run(TPESampler(seed=0), 14))
    assert llm.requests == []
    assert len(lines) == 1
    assert lines[0].startswith("INFO LLMSampler asks no language model")
    assert repr(word) in lines[0]


def test_a_copy_of_the_sampler_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(LLMSampler("openai/m", search_space=SPACE))
    monkeypatch.setenv("OPTUNA_LLM", "off")
    assert sources(run(pickle.loads(pickled), 2)) == ["base", "base"]


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_LLM", "")
    llm = FakeLLM(guesser(1))
    assert sources(run(sampler_on(llm, search_space=SPACE), 1)) == ["llm"]


def test_the_model_sees_the_history() -> None:
    llm = FakeLLM(guesser(1))
    study = run(sampler_on(llm, search_space=SPACE, task="toy <task>"), 30)
    assert "1 finished trial, from worst to best" in llm.requests[1].messages[1]["content"]
    text = llm.requests[2].messages[1]["content"]
    assert "‹task›" in text
    assert "finished trials, from worst to best" in text
    assert f"{study.trials[0].params['x']:.3g}"[:4] in text
