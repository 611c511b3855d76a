"""The search space read from objectives: exactly, or openly incomplete, and never wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import functools
import inspect
import linecache
import pickle
import time
from typing import Any, ClassVar
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler, search_space_of
from optuna_llm_sampler.llms import Request
from tests.support.fakes import fake
from tests.support.objectives import CASES


UNIT = FloatDistribution(0.0, 1.0)


def name_of(case: tuple[Any, ...]) -> str:
    return str(getattr(case[0], "__qualname__", type(case[0]).__name__))


each_objective = pytest.mark.parametrize("case", CASES, ids=name_of)


def test_there_are_many_objectives() -> None:
    assert len(CASES) >= 60


@each_objective
def test_the_space_is_what_the_source_says(case: Any) -> None:
    objective, space, conditions, left_out = case
    read = search_space_of(objective)
    assert read.space == space
    assert read.conditions == conditions
    missing = [piece for piece in left_out if not any(piece in text for text in read.left_out)]
    assert not missing, read.left_out
    assert bool(read.left_out) == bool(left_out), read.left_out


def is_used(name: str, trial: FrozenTrial, conditions: Mapping[str, Any]) -> bool:
    return all(
        parent in trial.params and trial.params[parent] in values
        for parent, values in conditions.get(name, {}).items()
    )


@each_objective
def test_no_trial_contradicts_what_was_read(case: Any) -> None:
    objective = case[0]
    function = getattr(objective, "func", objective)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        pytest.skip("Optuna cannot run it")
    read = search_space_of(objective)
    n_values = 2 if "two_objectives" in name_of(case) else 1
    study = optuna.create_study(directions=["minimize"] * n_values, sampler=RandomSampler(seed=0))
    with warnings.catch_warnings():  # names and kinds of choices that Optuna warns about
        warnings.simplefilter("ignore")
        study.optimize(objective, n_trials=30, catch=(Exception,))
    for trial in study.trials:
        for name, distribution in trial.distributions.items():
            assert name in read.space or read.left_out
            assert read.space.get(name, distribution) == distribution
        if trial.state == TrialState.COMPLETE:
            used = {name for name in read.space if is_used(name, trial, read.conditions)}
            assert used == trial.params.keys() & read.space.keys()


# --- where the source is --------------------------------------------------------------------

CELL = """
LOW = 1
def objective(trial):
    n = trial.suggest_int("n", LOW, 2)
    return n + sum(trial.suggest_float(f"x{i}", 0, 1) for i in range(n))
"""
CELL_SPACE = {"n": IntDistribution(1, 2), "x0": UNIT, "x1": UNIT}


def run_cell(text: str, name: str, shown: str | None = None) -> dict[str, Any]:
    """Run a cell as IPython does; ``shown`` is what it keeps as its source."""
    lines = (text if shown is None else shown).splitlines(keepends=True)
    linecache.cache[name] = (len(text), None, lines, name)
    namespace: dict[str, Any] = {}
    exec(compile(text, name, "exec"), namespace)
    return namespace


def test_a_notebook_cell() -> None:
    read = search_space_of(run_cell(CELL, "<ipython-input-1-0a1b>")["objective"])
    assert read.space == CELL_SPACE
    assert read.conditions == {"x1": {"n": [2]}}
    assert not read.left_out


@pytest.mark.parametrize("shown", [CELL.replace("2)", "3)"), CELL.replace("LOW =", "if"), ""])
def test_a_source_that_is_not_what_runs_is_not_read(shown: str) -> None:
    read = search_space_of(run_cell(CELL, "<ipython-input-2-0a1b>", shown)["objective"])
    assert not read.space
    assert read.left_out


def test_what_has_no_source_is_not_read() -> None:
    namespace: dict[str, Any] = {}
    exec("def objective(trial): return trial.suggest_float('x', 0, 1)", namespace)
    for objective in (namespace["objective"], len, print, functools.partial(max)):
        read = search_space_of(objective)
        assert not read.space
        assert read.left_out


def test_two_lambdas_in_one_line_are_not_mixed_up() -> None:
    one, two = lambda t: t.suggest_float("x", 0, 1), lambda t: t.suggest_float("x", 0, 2)
    for objective in (one, two):
        assert not search_space_of(objective).space


def test_only_callables_are_objectives() -> None:
    with pytest.raises(TypeError, match="must be callable; got int"):
        search_space_of(3)  # type: ignore[arg-type]


def test_nothing_is_run() -> None:
    class Trap:
        ran: ClassVar[list[str]] = []

        def __getattribute__(self, name: str) -> Any:
            Trap.ran.append(name)
            return object.__getattribute__(self, name)

        def __call__(self, trial: Any) -> float:
            Trap.ran.append("call")
            return float(trial.suggest_float("x", 0, 1))

        def __eq__(self, other: object) -> bool:
            Trap.ran.append("==")
            return True

        def __iter__(self) -> Any:
            Trap.ran.append("iter")
            return iter(())

        @property
        def high(self) -> int:
            Trap.ran.append("high")
            return 3

    trap = Trap()

    def objective(trial: Any) -> float:
        for each in trap:
            trial.suggest_float(f"{each}", 0, 1)
        if trap == 3 or trap is None or not trap:
            trial.suggest_float("y", 0, 1)
        trial.suggest_int("n", 0, trap.high)
        return float(trap(trial)) + float(trial.suggest_float("z", 0, 1))

    assert search_space_of(objective).space == {"z": UNIT}
    assert not Trap.ran


def test_huge_constants_are_not_computed() -> None:
    def objective(trial: Any) -> float:
        big = 10**10**10
        text = "x" * 10**9
        digits = f"{1:1000000000}" + f"{1:1000000000}"
        shifted = 1 << 10**10
        total = sum(list(range(10**12))) + len(text) + len(digits)
        for i in range(10**12):
            trial.suggest_float(f"x{i}", 0, 1)
        while big and shifted:
            trial.suggest_float("y", 0, total)
        return float(trial.suggest_float("z", 0, 1))

    begin = time.process_time()
    assert search_space_of(objective).space == {"z": UNIT}
    assert time.process_time() - begin < 2


def test_a_recursion_without_end_ends() -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 1)) + objective(trial)

    assert search_space_of(objective).left_out == ("what comes after a recursion",)


def test_reading_changes_no_constant() -> None:
    choices = ["a"]

    def objective(trial: Any) -> float:
        local = choices
        local.append("b")
        return len(trial.suggest_categorical("c", local))

    search_space_of(objective)
    assert choices == ["a"]


# --- in a sampler ---------------------------------------------------------------------------


def branching(trial: Any) -> float:
    model = trial.suggest_categorical("model", ["svm", "forest"])
    if model == "svm":
        return float(trial.suggest_float("c", 1e-3, 1e3, log=True))
    return float(trial.suggest_int("trees", 5, 500) / 500)


def requests_of(**options: Any) -> list[Request]:
    llm = fake()
    sampler = LLMSampler(llm, task="A toy.", seed=0, **options)
    optuna.create_study(sampler=sampler).optimize(branching, n_trials=8)
    return llm.requests


def test_an_objective_leads_to_the_requests_of_its_space() -> None:
    space = {
        "model": CategoricalDistribution(["svm", "forest"]),
        "c": FloatDistribution(1e-3, 1e3, log=True),
        "trees": IntDistribution(5, 500),
    }
    conditions = {"c": {"model": ["svm"]}, "trees": {"model": ["forest"]}}
    requests = requests_of(search_space=branching)
    assert requests
    assert requests == requests_of(search_space=space, conditions=conditions)
    assert requests != requests_of()


def test_the_first_trial_is_the_models() -> None:
    sampler = LLMSampler(fake(), search_space=branching, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(branching, n_trials=1)
    assert study.trials[0].user_attrs["llm_source"] == "llm"


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "source" in record.getMessage()]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    optuna.logging.enable_propagation()
    yield caplog
    optuna.logging.disable_propagation()


def test_one_line_says_what_was_read(logged: pytest.LogCaptureFixture) -> None:
    def partly(trial: Any) -> float:
        n = trial.suggest_int("n", 1, 100)
        return float(n + trial.suggest_int("m", 0, n) + branching(trial))

    LLMSampler(fake(), search_space=partly)
    (message,) = messages(logged)
    assert "4 parameters (n, model, c, trees), 2 conditions." in message
    assert "Left to the first trial: the range of 'm' is not constant" in message


def test_an_objective_that_cannot_be_read_is_as_none(logged: pytest.LogCaptureFixture) -> None:
    namespace: dict[str, Any] = {"branching": branching}
    exec("def objective(trial): return branching(trial)", namespace)
    assert requests_of(search_space=namespace["objective"]) == requests_of()
    (message,) = messages(logged)
    assert "0 parameters" in message


def test_given_conditions_precede_those_read() -> None:
    given = {"c": {"model": ["svm", "forest"]}}
    one = requests_of(search_space=branching, conditions=given)
    assert one[0] != requests_of(search_space=branching)[0]


def test_defaults_may_name_what_was_left_out() -> None:
    def partly(trial: Any) -> float:
        n = trial.suggest_int("n", 1, 100)
        return float(n + trial.suggest_int("m", 0, n))

    sampler = LLMSampler(fake(), search_space=partly, defaults={"n": 7, "m": 3})
    study = optuna.create_study(sampler=sampler)
    study.optimize(partly, n_trials=2)
    assert {"n": 7, "m": 3} in [trial.params for trial in study.trials]
    with pytest.raises(ValueError, match="defaults has 101 for 'n'"):
        LLMSampler(fake(), search_space=partly, defaults={"n": 101})
    with pytest.raises(ValueError, match="defaults names 'm'"):
        LLMSampler(fake(), search_space=branching, defaults={"m": 1})


def test_a_search_space_is_a_mapping_or_an_objective() -> None:
    with pytest.raises(ValueError, match="search_space must map .*, or be the objective; got 3"):
        LLMSampler(fake(), search_space=3)  # type: ignore[arg-type]


def test_a_sampler_with_an_objective_can_be_pickled() -> None:
    sampler = LLMSampler("off", search_space=lambda trial: branching(trial))
    assert pickle.loads(pickle.dumps(sampler))
