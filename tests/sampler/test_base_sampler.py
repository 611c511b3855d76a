"""The default base sampler: every kind of study, with torch and without, and many workers."""

from __future__ import annotations

from collections.abc import Callable
import json
import math
from statistics import median
from typing import Any
import warnings

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import create_trial, Trial, TrialState
import pytest

from optuna_llm_sampler import DefaultBaseSampler, LLMSampler
from optuna_llm_sampler._sampler import default_base
from optuna_llm_sampler._study.distance import Points
from optuna_llm_sampler._study.optuna_internals import IS_OPTUNA_4
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.versions import needs_optuna_5


pytest.importorskip("torch")

Objective = Callable[[Trial], Any]
LINE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
N_TRIALS = 9  # the GP models from the sixth on


def run(objective: Objective, n: int = N_TRIALS, **options: Any) -> Study:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0), **options)
    study.optimize(objective, n_trials=n)
    return study


def by_gp(study: Study) -> list[int]:
    """Numbers of the trials that Optuna's GP chose."""
    return [t.number for t in study.trials if "gp:relative_params:0" in t.system_attrs]


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_base, "_has_torch", lambda: False)


@pytest.fixture(params=["torch", "numpy"])
def with_and_without_torch(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param == "numpy":
        monkeypatch.setattr(default_base, "_has_torch", lambda: False)


def ended(x: float, value: float = 1.0, **more: Any) -> optuna.trial.FrozenTrial:
    return create_trial(value=value, params={"x": x}, distributions=LINE, **more)


# --- constraints ----------------------------------------------------------------------------


def constrained(when: Callable[[int], bool], *, names: str = "c") -> Objective:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if when(trial.number):
            for name in names:
                trial.set_constraint(name, 0.5 - x)
        return x

    return objective


@pytest.mark.parametrize(
    "when",
    [
        lambda n: n % 3 != 2,
        lambda n: n == 3,
        lambda n: n >= 6,
        lambda n: n < 6,
        lambda n: n != 7,
    ],
    ids=["not every third", "one", "introduced later", "given up later", "all but one"],
)
@needs_optuna_5
def test_constraints_that_only_some_trials_set_end_no_study(when: Callable[[int], bool]) -> None:
    study = run(constrained(when))
    assert len(study.trials) == N_TRIALS
    odd = next(n for n in range(N_TRIALS) if when(n) != when(0))
    assert [n for n in by_gp(study) if n > odd] == []


@needs_optuna_5
def test_constraints_that_all_trials_set_are_for_the_gp() -> None:
    assert by_gp(run(constrained(lambda n: True, names="ab"))) == [5, 6, 7, 8]


@needs_optuna_5
def test_other_names_of_constraints_are_other_constraints() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("a" if trial.number % 2 else "b", x - 0.5)
        return x

    assert by_gp(run(objective)) == []


@needs_optuna_5
def test_constraints_mean_the_same_in_whatever_order_they_were_set() -> None:
    def study_of(order: Callable[[int], str]) -> Study:
        def objective(trial: Trial) -> float:
            x = trial.suggest_float("x", 0, 1)
            for name in order(trial.number):
                trial.set_constraint(name, x - 0.7 if name == "a" else 0.3 - x)
            return x

        return run(objective)

    mixed = study_of(lambda n: "ab" if n % 2 else "ba")
    assert by_gp(mixed) == [5, 6, 7, 8]
    assert [t.params for t in mixed.trials] == [t.params for t in study_of(lambda n: "ab").trials]


@needs_optuna_5
def test_constraints_of_the_old_form_end_no_study() -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    lists: list[Any] = [[1.0], None, [-1.0, 2.0], [0.0], None, [1.0]]
    for i, old in enumerate(lists):
        study.add_trial(ended(i / 10, system_attrs={"constraints": old} if old else {}))
    study.optimize(constrained(lambda n: n % 2 == 0), n_trials=6)
    assert len(study.trials) == 12


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_study_begun_with_a_constraints_func_goes_on() -> None:
    begun = TPESampler(seed=0, constraints_func=lambda trial: [0.5 - trial.params["x"]])
    study = optuna.create_study(sampler=begun)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=6)
    study.sampler = DefaultBaseSampler(seed=0)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert by_gp(study) == [6]  # the next one had no constraint


@needs_optuna_5
def test_constraints_of_some_trials_with_several_objectives() -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if trial.number % 3:
            trial.set_constraint("c", x - y)
        return x, y

    assert len(run(objective, 14, directions=["minimize", "maximize"]).trials) == 14


@needs_optuna_5
def test_constraints_beyond_the_time_of_the_gp() -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.add_trials([ended(i / 60) for i in range(55)])
    study.optimize(constrained(lambda n: n % 2 == 0), n_trials=4)
    assert by_gp(study) == []


@needs_optuna_5
def test_a_partly_fixed_space_with_constraints() -> None:
    def objective(trial: Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("c", x - y)
        return x + y

    base = DefaultBaseSampler(seed=0)
    study = optuna.create_study(sampler=base)
    study.optimize(objective, n_trials=7)
    study.sampler = PartialFixedSampler({"x": 0.5}, base)
    study.optimize(objective, n_trials=2)
    study.sampler = base
    study.optimize(objective, n_trials=2)
    assert len(study.trials) == 11


def test_a_trial_of_another_kind_that_ends_while_the_gp_is_waited_for() -> None:
    # The language model is asked between the two calls, for up to two minutes.
    study = optuna.create_study(sampler=(sampler := DefaultBaseSampler(seed=0)))
    study.add_trials([ended(i / 10, i) for i in range(6)])
    trial = study.ask()
    frozen = study._storage.get_trial(trial._trial_id)
    space = sampler.infer_relative_search_space(study, frozen)
    study.add_trial(ended(0.9, system_attrs={"constraints": [1.0]}))
    study.add_trial(create_trial(value=3.0))
    assert 0 <= sampler.sample_relative(study, frozen, space)["x"] <= 1


# --- values and parameters ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Clip non-finite values")
@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [math.inf, 1.0],
        [-math.inf, 1.0],
        [math.inf],
        [math.inf, -math.inf],
        [1e308, -1e308],
        [1e-320, 2e-320],
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_legal_values_of_every_size(values: list[float]) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_float("x", 0, 1)
        return values[trial.number % len(values)]

    study = run(objective, 8)
    assert len(by_gp(study)) == 3


@pytest.mark.parametrize(
    "suggest",
    [
        lambda t: t.suggest_int("n", 0, 2**62),
        lambda t: t.suggest_int("n", -(10**30), 10**30),
        lambda t: t.suggest_int("n", 1, 10**30, log=True),
        lambda t: t.suggest_float("x", 0, 1, step=1e-9),
        lambda t: t.suggest_float("x", 1e-320, 1, log=True),
        lambda t: t.suggest_float("x", 1, 1 + 1e-15),
        lambda t: t.suggest_categorical("k", [None, True, 1, "1", 2.5]) == "1",
        lambda t: t.suggest_categorical("k", list(range(1000))),
    ],
)
def test_legal_spaces_of_every_size(suggest: Objective) -> None:
    study = run(lambda trial: float(suggest(trial)), 8)
    assert len(by_gp(study)) == 3
    for trial in study.trials:
        for name, distribution in trial.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


@pytest.mark.parametrize("x", [5.0, -3.0, math.inf])
def test_an_enqueued_value_out_of_range_is_not_modelled(x: float) -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.enqueue_trial({"x": x})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna's own, of the value
        study.optimize(lambda t: abs(t.suggest_float("x", 0, 1)), n_trials=8)
    assert study.trials[0].params == {"x": x}
    assert by_gp(study) == [6, 7]
    assert all(0 <= trial.params["x"] <= 1 for trial in study.trials[1:])


@pytest.mark.parametrize("x", [0.5, 7.0])
def test_a_running_trial_whose_value_is_off_the_grid_or_range(x: float) -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    wide = {"x": FloatDistribution(0, 10)}
    running: Any = {"state": TrialState.RUNNING, "params": {"x": x}, "distributions": wide}
    study.add_trial(create_trial(**running))
    study.optimize(lambda t: t.suggest_float("x", 0, 4, step=1.0), n_trials=8)
    assert len(by_gp(study)) == 3


def test_failed_pruned_and_missing_trials_end_no_study() -> None:
    def objective(trial: Trial) -> float:
        if trial.number == 1:
            return 3.0  # before it asked for anything
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 3:
            raise optuna.TrialPruned
        return math.nan if trial.number == 4 else x

    assert len(run(objective, 14).trials) == 14


# --- trials that run at the same time -------------------------------------------------------


def in_parallel(sampler: BaseSampler, n: int, space: Any, objective: Any) -> Study:
    """Run a study with eight trials at a time: whenever one is told, the next is asked."""
    study = optuna.create_study(sampler=sampler)
    running: list[Trial] = []
    for _ in range(n):
        if len(running) == 8:
            first = running.pop(0)
            study.tell(first, objective(first.params))
        running.append(study.ask(space))
    for trial in running:
        study.tell(trial, objective(trial.params))
    return study


def repeats(study: Study, space: Any, limit: float = 0.025) -> int:
    """Count the trials that began near one of the seven that ran then."""
    params = [trial.params for trial in study.trials]
    return sum(
        Points(params[max(0, n - 7) : n]).has_near(params[n], space, limit)
        for n in range(len(params))
    )


SQUARE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def test_workers_do_not_try_the_same_corner_at_once() -> None:
    # A GP is soon sure of this optimum; GPSampler alone repeats itself 16 times in 40 trials.
    study = in_parallel(DefaultBaseSampler(seed=0), 30, SQUARE, lambda p: p["x"] + p["y"] ** 2)
    assert len(by_gp(study)) > 10
    # Of the first six or seven, drawn at random, two may be near.
    assert repeats(study, SQUARE) <= 1
    # Of 30 draws, 0.05 is reached one in five times; TPE of Optuna 4 comes to 0.047.
    assert study.best_value < (0.05 if IS_OPTUNA_4 else 0.01)


def test_one_worker_may_come_as_near_as_it_likes() -> None:
    def objective(trial: Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return (x - 0.4) ** 2 + (y - 0.6) ** 2

    study = run(objective, 20)
    assert repeats(study, SQUARE) > 2
    assert by_gp(study) == list(range(5, 20))
    assert not any("tpe:relative_params:0" in trial.system_attrs for trial in study.trials)


def test_a_space_that_is_all_taken_is_tried_again() -> None:
    space = {"k": CategoricalDistribution(["a", "b"])}
    study = in_parallel(DefaultBaseSampler(seed=0), 20, space, lambda p: float(p["k"] == "b"))
    assert len(study.trials) == 20


def test_what_an_enqueued_trial_is_going_to_try_is_taken() -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.add_trials([ended(i / 10, i / 10) for i in range(6)])
    alone = study.ask(LINE).params["x"]
    again = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    again.add_trials([ended(i / 10, i / 10) for i in range(6)])
    again.enqueue_trial({"x": alone})
    again.ask()  # it runs, and has not asked for its parameter yet
    assert abs(again.ask(LINE).params["x"] - alone) >= 0.025


def test_a_seed_gives_the_same_trials_again() -> None:
    def params() -> list[dict[str, Any]]:
        base = DefaultBaseSampler(seed=3)
        study = in_parallel(base, 12, SQUARE, lambda p: p["x"] + p["y"])
        return [trial.params for trial in study.trials]

    assert params() == params()


def test_without_the_model_the_sampler_is_its_base_among_many_workers_too() -> None:
    def params(sampler: BaseSampler) -> list[dict[str, Any]]:
        study = in_parallel(sampler, 12, SQUARE, lambda p: p["x"] + p["y"])
        return [trial.params for trial in study.trials]

    off = LLMSampler(FakeLLM(lambda request: ""), llm_share=0, seed=3)
    assert params(off) == params(DefaultBaseSampler(seed=3))


# --- the first trials -----------------------------------------------------------------------


MIXED: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-4, 8),
    "decay": FloatDistribution(1e-6, 1e-2),  # over two decades: meant as a logarithm
    "n": IntDistribution(1, 9),
    "k": CategoricalDistribution(["a", "b", "c"]),
}
MIDDLE = {"x": 2.0, "decay": pytest.approx(1e-4), "n": 5, "k": "a"}


def mixed(trial: Trial) -> float:
    for name, distribution in MIXED.items():
        trial._suggest(name, distribution)
    return float(trial.params["x"])


@pytest.mark.usefixtures("with_and_without_torch")
def test_the_first_trial_is_in_the_middle_and_choices_are_tried_in_turn() -> None:
    trials = run(mixed, 5).trials
    assert trials[0].params == MIDDLE
    assert {t.params["k"] for t in trials[:3]} == {"a", "b", "c"}
    assert len({t.params["x"] for t in trials}) == 5


@pytest.mark.usefixtures("with_and_without_torch")
@pytest.mark.parametrize("n_objectives", [1, 2])
def test_a_range_over_two_decades_is_searched_as_a_logarithm(n_objectives: int) -> None:
    def objective(trial: Trial) -> list[float]:
        rate = trial.suggest_float("rate", 1e-4, 10)
        n = trial.suggest_int("n", 1, 5000)
        value = abs(math.log10(rate) + 2) + abs(math.log10(n) - 1)
        return [value] * n_objectives

    study = optuna.create_study(
        directions=["minimize"] * n_objectives, sampler=DefaultBaseSampler(seed=0)
    )
    study.optimize(objective, n_trials=30)
    assert {type(t.params["n"]) for t in study.trials} == {int}
    # Of uniform draws, 1 % and 2 %.
    assert sum(t.params["rate"] < 0.1 for t in study.trials) >= 10
    assert sum(t.params["n"] < 100 for t in study.trials) >= 10
    assert min(t.values[0] for t in study.trials) < 0.5


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the last one first"])
def test_of_trials_that_begin_at_once_one_is_in_the_middle(order: int) -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    trials = [study.ask() for _ in range(8)]
    for name, distribution in MIXED.items():
        for trial in trials[::order]:
            trial._suggest(name, distribution)
    assert trials[0].params == MIDDLE
    found = [tuple(trial.params.values()) for trial in trials]
    assert len(set(found)) == 8
    assert len({params[0] for params in found}) == 8


@pytest.mark.parametrize("n_jobs", [1, 8])
def test_the_middle_is_not_tried_twice_whoever_begins(n_jobs: int) -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.optimize(mixed, n_trials=16, n_jobs=n_jobs)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 16
    assert sum(trial.params["k"] == "a" and trial.params["x"] == 2 for trial in study.trials) == 1


def test_the_middle_is_left_out_where_it_has_failed_or_somebody_knows_better() -> None:
    def fails(trial: Trial) -> float:
        mixed(trial)
        raise MemoryError

    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.optimize(fails, n_trials=2, catch=MemoryError)
    assert [trial.params == MIDDLE for trial in study.trials] == [True, False]
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.enqueue_trial({"x": 7.0})
    study.optimize(mixed, n_trials=2)
    assert study.trials[0].params == {**MIDDLE, "x": 7.0}
    assert study.trials[1].params != MIDDLE


# --- branches, and no torch -----------------------------------------------------------------


def branched(trial: Trial) -> float:
    """Three branches; the best value, 0, is that of x = 0.3 in the second one."""
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    shift = trial.suggest_float("shift", -1, 1) ** 2
    if kind == "a":
        return 1 + shift + trial.suggest_int("n", 1, 100, log=True) / 100
    if kind == "b":
        return 4 * abs(trial.suggest_float("x", 0, 1) - 0.3) + shift
    return 2 + shift + 1e-3 * trial.suggest_float("y", 1e-3, 1e3, log=True)


def test_each_branch_begins_in_its_middle_and_is_entered_once_before_any_twice() -> None:
    trials = run(branched, 6).trials
    assert {t.params["kind"] for t in trials[:3]} == {"a", "b", "c"}
    begun = {t.params["kind"]: t.params for t in trials[:3]}
    assert trials[0].params == {"kind": "a", "shift": 0.0, "n": 10}
    assert begun["b"]["x"] == 0.5
    assert begun["c"]["y"] == pytest.approx(1.0)
    # The second trial shows that "kind" decides.
    assert [t.params["shift"] == 0 for t in trials] == [True, False, True, False, False, False]


def test_branches_within_branches_begin_in_their_middle_too() -> None:
    def objective(trial: Trial) -> float:
        if trial.suggest_categorical("model", ["linear", "svm"]) == "linear":
            return trial.suggest_float("alpha", 1e-4, 1, log=True)
        if trial.suggest_categorical("kernel", ["rbf", "poly"]) == "rbf":
            return trial.suggest_float("gamma", 1e-4, 1e4, log=True)
        return trial.suggest_int("degree", 1, 5)

    trials = run(objective, 5).trials
    assert [t.params for t in trials[:2]] == [
        {"model": "linear", "alpha": pytest.approx(0.01)},
        {"model": "svm", "kernel": "rbf", "gamma": pytest.approx(1.0)},
    ]
    assert {"model": "svm", "kernel": "poly", "degree": 3} in [t.params for t in trials[2:]]


def test_branches_are_modelled_in_turn_with_tpe_until_trial_50() -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    drawn = optuna.create_study(sampler=RandomSampler(seed=0))
    drawn.optimize(branched, n_trials=46)
    study.add_trials(drawn.trials)
    study.optimize(branched, n_trials=7)
    tpe = [t.number for t in study.trials if "tpe:relative_params:0" in t.system_attrs]
    assert tpe == [47, 49, 50, 51, 52]
    assert by_gp(study) == []


def test_branches_are_searched_better_than_by_tpe() -> None:
    def best(sampler: Callable[[int], BaseSampler]) -> float:
        studies = [optuna.create_study(sampler=sampler(seed)) for seed in range(5)]
        for study in studies:
            study.optimize(branched, n_trials=24)
        return median(study.best_value for study in studies)

    assert best(lambda s: DefaultBaseSampler(seed=s)) < 0.5 * best(lambda s: TPESampler(seed=s))


def test_a_trial_publishes_what_it_is_going_to_use() -> None:
    for trial in run(branched, 12).trials[5:]:
        assert json.loads(trial.system_attrs["llm:relative_params:0"]) == trial.params


def test_bounds_that_differ_by_branch() -> None:
    def objective(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["sgd", "adam"])
        high = 1.0 if kind == "sgd" else 0.01
        return abs(trial.suggest_float("rate", high / 1e4, high, log=True) - 0.003)

    study = run(objective, 20)
    assert study.best_value < 0.001


def test_a_parameter_that_comes_and_goes_for_no_reason() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return x + (trial.suggest_float("y", 0, 1) if trial.number % 3 == 1 else 0.0)

    study = run(objective, 20)
    assert study.best_value < 0.05


def test_partly_fixed_branches() -> None:
    base = DefaultBaseSampler(seed=0)
    study = optuna.create_study(sampler=base)
    study.optimize(branched, n_trials=8)
    study.sampler = PartialFixedSampler({"kind": "c"}, base)
    study.optimize(branched, n_trials=3)
    assert all(trial.params["kind"] == "c" for trial in study.trials[8:])


def test_without_the_model_the_sampler_is_its_base_in_branches_too() -> None:
    def params(sampler: BaseSampler) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=sampler)
        study.optimize(branched, n_trials=12)
        return [trial.params for trial in study.trials]

    off = LLMSampler(FakeLLM(lambda request: ""), llm_share=0, seed=3)
    assert params(off) == params(DefaultBaseSampler(seed=3))


def test_a_model_that_proposes_one_branch_is_not_said_to_leave_out_the_others() -> None:
    answer = json.dumps({"configs": [{"kind": "b", "shift": i / 10, "x": 0.3} for i in range(4)]})
    study = optuna.create_study(sampler=LLMSampler(FakeLLM(lambda request: answer), seed=0))
    study.optimize(branched, n_trials=12)
    models = [t for t in study.trials if t.user_attrs["llm_source"] == "llm"]
    assert len(models) >= 5
    # The first trial has another branch, so that the first answer's "x" is not known.
    left_out = [t.user_attrs.get("llm_from_base") for t in models]
    assert left_out == ["x"] * 4 + [None] * (len(models) - 4)


@pytest.mark.usefixtures("no_torch")
def test_without_torch_flat_spaces_are_for_tpe() -> None:
    study = run(constrained(lambda n: not IS_OPTUNA_4), 14)
    assert by_gp(study) == []
    tpe = [t.number for t in study.trials if "tpe:relative_params:0" in t.system_attrs]
    assert tpe == [10, 11, 12, 13]


@pytest.mark.usefixtures("no_torch")
def test_without_torch_branches_are_modelled_all_the_same() -> None:
    study = run(branched, 14)
    ours = [t.number for t in study.trials if "llm:relative_params:0" in t.system_attrs]
    assert {*range(6, 14)} <= {*ours}
    tpe = [t.number for t in study.trials if "tpe:relative_params:0" in t.system_attrs]
    assert tpe == [11, 13]


@needs_optuna_5
def test_constraints_that_only_some_trials_set_are_kept() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if x < 0.8:  # else nobody looks
            trial.set_constraint("c", 0.5 - x)
        return x

    study = run(objective, 20)
    assert 0.5 <= study.best_trial.params["x"] < 0.55
    assert sum(t.params["x"] < 0.4 for t in study.trials[10:]) <= 3


# --- nothing twice --------------------------------------------------------------------------


def small_and_flat(trial: Trial) -> float:
    return trial.suggest_int("a", 0, 3) + len(trial.suggest_categorical("k", ["x", "yy", "zzz"]))


def small_of_branches(trial: Trial) -> float:
    if trial.suggest_categorical("k", ["one", "two"]) == "one":
        return trial.suggest_float("step", 0, 1, step=0.25)
    return trial.suggest_int("log", 1, 8, log=True)


@pytest.mark.usefixtures("with_and_without_torch")
@pytest.mark.parametrize(
    ("objective", "size"),
    [(small_and_flat, 12), (small_of_branches, 13)],
)
def test_nothing_is_tried_twice_while_there_is_something_else(
    objective: Objective, size: int
) -> None:
    study = run(objective, size + 2)
    tried = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(set(tried[:size])) == size
    assert len(study.trials) == size + 2


def small_of_two_values(trial: Trial) -> tuple[float, float]:
    value = small_and_flat(trial)
    return value, -value


@pytest.mark.usefixtures("with_and_without_torch")
@pytest.mark.parametrize(
    ("objective", "size"),
    [(small_and_flat, 12), (small_of_branches, 13), (small_of_two_values, 12)],
)
def test_four_threads_try_nothing_twice(objective: Objective, size: int) -> None:
    directions = ["minimize"] * (2 if objective is small_of_two_values else 1)
    study = run(objective, 4, directions=directions)  # all parameters have been seen
    study.optimize(objective, n_trials=size - 4, n_jobs=4)
    assert len({tuple(sorted(trial.params.items())) for trial in study.trials}) == size


@pytest.mark.usefixtures("with_and_without_torch")
def test_what_the_model_has_promised_is_left_to_it() -> None:
    def handler(request: Request) -> str:
        first = 4 * answers.pop(0)
        return json.dumps({"configs": [{"k": k} for k in range(first, first + 4)]})

    answers = [0, 1, 2]
    sampler = LLMSampler(
        FakeLLM(handler),
        search_space={"k": IntDistribution(0, 11)},
        llm_share=0.5,
        n_configs=4,
        prefetch=False,
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    # The base sampler would soon try what is best, and the model proposes that last.
    study.optimize(lambda trial: abs(trial.suggest_int("k", 0, 11) - 7), n_trials=12)
    by_model = [t.params["k"] for t in study.trials if t.user_attrs["llm_source"] == "llm"]
    assert by_model == [*range(8)]
    assert {trial.params["k"] for trial in study.trials} == {*range(12)}


def test_what_failed_or_runs_is_not_tried_again() -> None:
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    space: dict[str, BaseDistribution] = {"k": CategoricalDistribution(range(6))}
    study.tell(study.ask(space), 1.0)
    trials = [study.ask(space) for _ in range(4)]
    study.tell(trials[0], state=TrialState.FAIL)
    trials.append(study.ask(space))
    assert len({trial.params["k"] for trial in study.trials}) == 6


@pytest.mark.usefixtures("with_and_without_torch")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of Optuna's GP, where nothing is left
def test_a_corner_is_tried_once() -> None:
    def objective(trial: Trial) -> float:
        return trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)

    study = run(objective, 14)
    assert len({(t.params["x"], t.params["y"]) for t in study.trials}) == 14


# --- what is on the screen ------------------------------------------------------------------


def test_there_is_no_word_about_experimental_features() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExperimentalWarning)
        run(constrained(lambda n: not IS_OPTUNA_4), 7)
        run(constrained(lambda n: not IS_OPTUNA_4 and n % 2 == 0), 12)
