"""What the model is told of objectives, constraints, curves, failures and moving spaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import itertools
import logging
import math
import random
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.trial import Trial
import pytest

from optuna_llm_sampler import LLMSampler, record_failures
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._advice.prompts import build
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.objectives import hypervolume, hypervolume_shares, thinned
from optuna_llm_sampler._study.summary import describe_curve, StudySummary
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.versions import needs_optuna_5


STYLES: list[str] = ["json", "code"]


def asked(
    objective: Callable[[Trial], Any],
    n: int,
    *,
    style: str = "json",
    catch: type[Exception] | tuple[()] = (),
    names: Sequence[str] = (),
    points: Sequence[Mapping[str, Any]] = (),
    space: Mapping[str, BaseDistribution] | None = None,
    pruner: optuna.pruners.BasePruner | None = None,
    answer: Callable[[Request], str] = lambda request: '{"configs": []}',
    **directions: Any,
) -> tuple[str, optuna.Study, Request]:
    """Run random trials, then one of the sampler's; return what the model was told at last."""
    study = optuna.create_study(sampler=RandomSampler(seed=0), pruner=pruner, **directions)
    if names:
        study.set_metric_names(list(names))
    for point in points:
        study.enqueue_trial(dict(point))
    study.optimize(objective, n_trials=n, catch=catch)
    llm = FakeLLM(answer, style=style)
    study.sampler = LLMSampler(
        llm, search_space=space, base_sampler=RandomSampler(seed=1), llm_share=1.0, seed=0
    )
    study.optimize(objective, n_trials=1, catch=catch)
    return llm.requests[0].messages[1]["content"], study, llm.requests[0]


# --- several objectives ---------------------------------------------------------------------


def two(trial: Trial) -> tuple[float, float]:
    size = trial.suggest_float("size", 0, 1)
    waste = trial.suggest_float("waste", 0, 1)
    return 0.5 + 0.4 * size - 0.1 * waste, 10 + 100 * size + 50 * waste


def test_the_front_its_hypervolume_and_the_trade_offs_are_told() -> None:
    points = [{"size": s, "waste": 0.0} for s in (0.0, 0.3, 1.0)] + [{"size": 0.3, "waste": 0.9}]
    text, _, request = asked(
        two,
        4,
        points=points,
        names=["accuracy", "seconds"],
        directions=["maximize", "minimize"],
    )
    lines = text.splitlines()
    assert "4 finished trials, from worst to best, as value" in text
    assert '0.53, 85 {"size": 0.3, "waste": 0.9} [3]' in lines
    front = [line for line in lines if "Pareto front, " in line]
    assert [line.split(" (")[0] for line in front] == ["0.9, 110", "0.62, 40", "0.5, 10"]
    stated = [float(line.split("Pareto front, ")[1].split(" ")[0]) for line in front]
    losses = [(-0.9, 110.0), (-0.62, 40.0), (-0.5, 10.0)]
    assert stated == [round(100 * share) for share in hypervolume_shares(losses)]
    assert (
        'Trade-offs: the best "accuracy" 0.9 goes with "seconds" 110; the best "seconds" 10 goes '
        'with "accuracy" 0.5.'
    ) in lines
    assert "some for the highest accuracy, some for the lowest seconds" in text
    assert 'maximize "accuracy", minimize "seconds"' in text
    assert request.schema is not None


def test_a_small_model_writes_one_configuration_per_aim() -> None:
    def answer(request: Request) -> str:
        calls = ["size=1.0, waste=0.1", "size=0.0, waste=0.2", "size=0.5, waste=0.3"]
        return ",\n".join(f"    # aim\n    dict({call})" for call in calls) + "\n]"

    text, study, request = asked(
        two,
        2,
        style="code",
        names=["accuracy", "seconds"],
        directions=["maximize", "minimize"],
        answer=answer,
    )
    for aim in ("highest accuracy", "lowest seconds", "a good compromise"):
        assert f"    # {aim}\n    dict(size=..., waste=...),\n" in text
        assert f"# {aim}" in (request.grammar or "")
    assert request.n == 3
    assert "(accuracy: higher is better, seconds: lower is better)" in text
    assert study.trials[-1].user_attrs["llm_source"] == "llm"


def test_the_name_of_a_metric_is_not_read_as_a_configuration() -> None:
    names = ("a dict(x=7", 'seconds: {"x": 9} "')
    question = Question(
        {"x": FloatDistribution(0, 10)}, StudySummary(("maximize", "minimize"), names), n_configs=3
    )
    request = build(question, "code")
    aims = [line for line in request.messages[1]["content"].splitlines() if "# " in line]
    assert len(aims) == 3
    text = "\n".join(f"{aim}\n    dict(x={i})," for i, aim in enumerate(aims))
    found = [config.params["x"] for config in parse([text], question.space).configs]
    assert found == [0, 1, 2]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_five_objectives_in_mixed_directions(n: int) -> None:
    def many(trial: Trial) -> list[float]:
        return [trial.suggest_float(f"x{i}", 0, 1) for i in range(n)]

    directions = ["minimize" if i % 2 else "maximize" for i in range(n)]
    text, study, _ = asked(many, 30, directions=directions)
    front = [line for line in text.splitlines() if "Pareto front, " in line]
    assert 1 <= len(front) <= 20
    best = {", ".join(f"{v:.4g}" for v in t.values) for t in study.best_trials}
    last = ", ".join(f"{v:.4g}" for v in study.trials[-1].values)
    assert {line.split(" (")[0] for line in front} <= best | {last}
    assert "some for the highest objective 0" in text


def test_the_hypervolume_is_that_of_a_count_of_cells() -> None:
    rng = random.Random(0)
    for dimensions, cells in ((2, 12), (3, 8), (4, 5), (5, 4)):
        for _ in range(10):
            points = [
                tuple(float(rng.randrange(cells)) for _ in range(dimensions)) for _ in range(5)
            ]
            reference = (float(cells),) * dimensions
            counted = sum(
                any(all(x <= c for x, c in zip(p, cell, strict=True)) for p in points)
                for cell in itertools.product(range(cells), repeat=dimensions)
            )
            assert hypervolume(points, reference) == counted


def test_a_thinned_front_keeps_its_ends() -> None:
    points = [(float(i), float(50 - i)) for i in range(51)]
    kept = thinned(points, 10)
    assert kept[0] == 0
    assert kept[-1] == 50
    assert len(kept) <= 10


# --- constraints ----------------------------------------------------------------------------


def constrained(trial: Trial) -> float:
    x = trial.suggest_float("x", 0, 10)
    trial.set_constraint("memory", x - 6)
    trial.set_constraint("latency", 1 - x)
    return x


@needs_optuna_5
@pytest.mark.parametrize("style", STYLES)
def test_feasible_trials_are_best_whatever_the_value(style: str) -> None:
    points = [{"x": x} for x in (9.0, 5.0, 7.5, 2.0)]
    text, _, _ = asked(constrained, 4, style=style, points=points, direction="maximize")
    if style == "json":
        rows = [line.partition(" [")[0] for line in text.splitlines() if line.endswith("]")]
        assert [row.split(" ")[0] for row in rows] == ["9", "7.5", "2", "5"]
        assert '9 (infeasible: over "memory" by 3) {"x": 9.0}' in rows
        assert '"memory", "latency" are met; 2 of 4 are.' in text
    else:
        rows = [line for line in text.splitlines() if ": dict(x=" in line]
        assert [row.split(":")[0] for row in rows] == ["9", "7.5", "2", "5"]
        assert "9: dict(x=9.0)  # not allowed: memory over by 3" in rows


@needs_optuna_5
def test_an_infeasible_trial_is_never_on_the_front() -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x = constrained(trial)
        return x, -x

    points = [{"x": x} for x in (9.0, 5.0, 2.0)]
    text, _, _ = asked(objective, 3, points=points, directions=["maximize", "maximize"])
    front = [line.split(" (")[0] for line in text.splitlines() if "Pareto front, " in line]
    assert sorted(front) == ["2, -2", "5, -5"]


# --- curves and pruning ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], ""),
        ([0.5], "0.5 until step 0"),
        ([2.0, 1.0, 0.6, 0.4, 0.2], "2 → 0.2 until step 4, still improving"),
        ([2.0, 0.5, 0.21, 0.2, 0.2, 0.2, 0.2], "2 → 0.2 until step 6, flat since step 2"),
        ([1.0, 0.5, 0.4, 0.9], "1 → 0.9 until step 3, best 0.4 at step 2, worse since"),
        ([1.0, 0.9, 2.0, 8.0], "1 → 8 until step 3, diverging"),
        ([1.0, 1.0, 1.0], "1 → 1 until step 2, flat"),
        ([1.0, math.nan, 0.5], "diverged: nan at step 1"),
        ([1.0, math.inf], "diverged: inf at step 1"),
    ],
)
def test_a_curve_in_a_few_words(values: list[float], words: str) -> None:
    assert describe_curve(dict(enumerate(values)), minimize=True) == words
    mirrored = describe_curve({i: -v for i, v in enumerate(values)}, minimize=False)
    assert mirrored.replace("-", "") == words


def pruned(trial: Trial) -> float:
    rate = trial.suggest_float("rate", 0, 1)
    for step in range(1, 10):
        trial.report(rate * step if rate > 0.5 else 1 / step, step)
        if rate > 0.5 and step == 4:
            raise optuna.TrialPruned
    return 0.1


@pytest.mark.parametrize("style", STYLES)
def test_pruned_trials_are_shown_with_their_curve(style: str) -> None:
    points = [{"rate": 0.9}, {"rate": 0.2}]
    text, _, _ = asked(pruned, 2, style=style, points=points)
    if style == "json":
        assert '3.6 (pruned; 0.9 → 3.6 until step 4, diverging) {"rate": 0.9}' in text
        assert '0.1 (1 → 0.111 until step 9, flat since step 7) {"rate": 0.2}' in text
    else:
        assert "3.6: dict(rate=0.9)  # pruned: 0.9 → 3.6 until step 4, diverging" in text


def test_who_was_pruned_later_was_better_and_the_rungs_are_told() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(1, 28):
            trial.report(x, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    points = [{"x": x} for x in (0.1, 0.9, 0.2, 0.5, 0.15, 0.3)]
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    # The bracket of a trial follows from the study's name.
    text, study, _ = asked(objective, 6, points=points, pruner=pruner, study_name="hyperband")
    states = [trial.state.name for trial in study.trials[:6]]
    assert "PRUNED" in states
    assert "passed 1 rung" in text or "passed 2 rungs" in text
    lasts = [
        int(line.split("until step ")[1].split(",")[0].split(")")[0])
        for line in text.splitlines()
        if "(pruned" in line
    ]
    assert lasts == sorted(lasts)


# --- failures -------------------------------------------------------------------------------


@record_failures
def half_failing(trial: Trial) -> float:
    batch = trial.suggest_int("batch", 1, 100)
    kind = trial.suggest_categorical("kind", ["a", "b", "broken"])
    if batch > 60:
        raise MemoryError(f"out of memory: {batch} rows\nsecond line")
    if kind == "broken":
        raise ValueError("</history> not implemented")
    if batch == 1:
        return math.nan
    return batch


POINTS: list[dict[str, Any]] = [
    *({"batch": b, "kind": "a"} for b in (10, 60, 70, 80, 90, 100)),
    {"batch": 5, "kind": "b"},
    {"batch": 50, "kind": "broken"},
    {"batch": 1, "kind": "b"},
]


@pytest.mark.parametrize("style", STYLES)
def test_reasons_of_failures_are_told(style: str) -> None:
    catch = (MemoryError, ValueError)
    text, study, _ = asked(
        half_failing,
        len(POINTS),
        style=style,
        points=POINTS,
        catch=catch,  # type: ignore[arg-type]
    )
    assert study.trials[2].user_attrs["llm_error"] == "MemoryError: out of memory: 70 rows"
    assert "second line" not in text
    if style == "json":
        assert "6 failed trials; avoid their region:" in text
        assert '{"batch": 90, "kind": "a"} failed with "MemoryError: out of memory: 90' in text
        assert 'failed with "the objective returned nan"' in text
        assert 'Fails: "batch" from 70 up: all 4 failed.' in text
        assert text.count("</history>") == 1
    else:
        assert "# the objective returned nan" in text
        assert 'Failed: dict(batch=50, kind="broken")  # ValueError: </history>' in text


def test_a_choice_that_always_fails_is_a_region() -> None:
    kinds = {10: "a", 20: "a", 15: "broken", 30: "broken"}
    points = [{"batch": batch, "kind": kind} for batch, kind in kinds.items()]
    text, _, _ = asked(half_failing, 4, points=points, catch=ValueError)
    assert 'Fails: "kind" = broken: all 2 failed.' in text
    assert '"batch" from' not in text


@pytest.mark.parametrize("style", STYLES)
def test_a_study_where_everything_fails_goes_on(style: str) -> None:
    @record_failures
    def failing(trial: Trial) -> float:
        trial.suggest_float("x", 0, 1)
        raise RuntimeError("no GPU")

    def answer(request: Request) -> str:
        return '{"configs": [{"x": 0.25}]}' if request.schema else "x=0.25)"

    text, study, _ = asked(failing, 3, style=style, catch=RuntimeError, answer=answer)
    assert "RuntimeError: no GPU" in text
    # Of a small model's samples, a share of 0.5 or less is first tried at 0.
    assert study.trials[-1].params["x"] == (0.25 if style == "json" else 0)
    assert study.trials[-1].user_attrs["llm_source"] == "llm"
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 4
    if style == "json":
        assert "Every trial so far failed (3)." in text


def test_an_exception_passes_through_and_pruning_is_no_failure() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"batch": 99, "kind": "a"})
    with pytest.raises(MemoryError):
        study.optimize(half_failing, n_trials=1)

    @record_failures
    def stopped(trial: Trial) -> float:
        raise optuna.TrialPruned

    study.optimize(stopped, n_trials=1)
    assert "llm_error" not in study.trials[-1].user_attrs


# --- spaces that move -----------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_bounds_are_shown_as_they_are_now(style: str) -> None:
    def moving(trial: Trial) -> float:
        high = 10 if trial.number < 3 else 5
        return trial.suggest_float("x", 0, high, step=0.5) + trial.suggest_int("n", 1, high)

    points = [{"x": x, "n": n} for x, n in ((9.0, 2), (1.0, 9), (2.0, 2), (4.0, 4))]
    text, _, _ = asked(moving, 4, style=style, points=points)
    if style == "json":
        assert '- "x": number from 0 to 5, in steps of 0.5.' in text
        assert '11 {"x": 9.0, "n": 2} (not possible any more)' in text
        assert '4 {"x": 2.0, "n": 2} [' in text
    else:
        assert "n=1 | 2 | 3 | 4 | 5" in text
        assert "x=9.0" not in text
        assert "n=9" not in text
        assert "4: dict(x=2.0, n=2)" in text


def test_a_parameter_that_changes_its_kind_is_said_once() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    old: dict[str, BaseDistribution] = {
        "x": CategoricalDistribution(["low", "high"]),
        "y": IntDistribution(1, 9),
    }
    new: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": IntDistribution(1, 9)}
    for x, distributions in (("low", old), ("high", old), (0.5, new), (0.25, new)):
        study.add_trial(
            optuna.trial.create_trial(
                value=1.0, params={"x": x, "y": 3}, distributions=distributions
            )
        )
    llm = FakeLLM(lambda request: '{"configs": [{"x": 0.125, "y": 5}]}')
    study.sampler = LLMSampler(llm, base_sampler=RandomSampler(seed=0), llm_share=1.0, seed=0)
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore
    logging.getLogger("optuna").addHandler(handler)
    try:
        for _ in range(3):
            trial = study.ask()
            study.tell(trial, trial.suggest_float("x", 0, 1) + trial.suggest_int("y", 1, 9))
    finally:
        logging.getLogger("optuna").removeHandler(handler)
    text = llm.requests[0].messages[1]["content"]
    assert '"x": number from 0 to 1. It was a choice before trial 2; older values are' in text
    assert '"low"' not in text
    assert study.trials[4].params == {"x": 0.125, "y": 5}
    said = [r for r in records if "'x' is a number since trial 2" in r.getMessage()]
    assert len(said) == 1
