"""Every plot of every kind of study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import inspect
import json
import math
import re
import subprocess
import sys
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import create_trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler, Price, visualization
from optuna_llm_sampler.errors import MissingExtraError, RateLimitError
from optuna_llm_sampler.testing import FakeLLM

from ..support.studies import HOSTILE, hostile, objective, rough, tuned, two


go = pytest.importorskip("plotly.graph_objects", reason="plotly is not installed")
pyplot = pytest.importorskip("matplotlib.pyplot", reason="Matplotlib is not installed")
pyplot.switch_backend("Agg")

NAMES = ("plot_sources", "plot_advice", "plot_llm_usage")


def empty() -> Study:
    return optuna.create_study(study_name="empty")


def only_running() -> Study:
    study = optuna.create_study()
    for _ in range(3):
        study.ask({"x": FloatDistribution(0, 1)})
    return study


def only_failed_and_pruned() -> Study:
    study = optuna.create_study()
    for state in (TrialState.FAIL, TrialState.PRUNED, TrialState.PRUNED):
        trial = study.ask({"x": FloatDistribution(0, 1)})
        study.tell(trial, state=state)
    return study


def no_model() -> Study:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(rough, n_trials=12, catch=MemoryError)
    return study


def silent_model() -> Study:
    def broken(request: Any) -> str:
        raise RateLimitError("Too many requests.")

    return tuned(6, of=objective, llm=FakeLLM(broken))


def odd_values() -> Study:
    """Infinite values, choices of every kind, names that are markup."""
    study = optuna.create_study(study_name=HOSTILE)
    space = {
        "a_$x^<b>": FloatDistribution(1e-5, 1, log=True),
        "_c": CategoricalDistribution([None, True, 1, "<b>$y_$</b>", 2.5]),
    }
    for i, value in enumerate((math.inf, 1.0, -math.inf, 2.0)):
        params = {"a_$x^<b>": 0.1 ** (i + 1), "_c": space["_c"].choices[i]}  # type: ignore[attr-defined]
        study.add_trial(create_trial(value=value, params=params, distributions=space))
    return study


def moving_space() -> Study:
    """Bounds and choices change between trials; a parameter is conditional."""

    def moving(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1 + trial.number)
        if trial.number % 2:
            x += trial.suggest_int("only_odd", 1, 5)
        return x

    sampler = LLMSampler(FakeLLM(hostile), base_sampler=RandomSampler(seed=0), seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(moving, n_trials=6)
    return study


STUDIES: dict[str, Callable[[], Study]] = {
    "empty": empty,
    "only running": only_running,
    "only failed and pruned": only_failed_and_pruned,
    "multi-objective": lambda: tuned(10, of=two),
    "pruned and failed": lambda: tuned(16),
    "no model": no_model,
    "silent model": silent_model,
    "odd values": odd_values,
    "moving space": moving_space,
    "hostile": lambda: tuned(4, of=objective, llm=FakeLLM(hostile), study_name=HOSTILE),
}


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest) -> Study:
    return STUDIES[request.param]()


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.mark.parametrize("name", NAMES)
def test_plotly_renders(name: str, study: Study) -> None:
    figure = getattr(visualization, name)(study)
    assert isinstance(figure, go.Figure)
    tags = {tag for text in _texts(figure.to_dict()) for tag in re.findall("<[^>]*>", text)}
    assert tags <= {"<br>", "<extra>", "</extra>"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def test_matplotlib_renders(study: Study) -> None:
    found: Any = visualization.matplotlib.plot_sources(study)
    axes = found if isinstance(found, list) else [found]
    assert axes
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize("name", [*NAMES, "matplotlib"])
def test_several_studies(name: str) -> None:
    studies = [tuned(5, of=objective, study_name="one"), tuned(8, study_name="other"), empty()]
    twin: Any = visualization.matplotlib.plot_sources
    plot: Any = twin if name == "matplotlib" else getattr(visualization, name)
    assert plot(tuple(studies)) is not None
    if name != "matplotlib":
        assert "other" in plot(studies).to_json()
    assert plot([]) is not None


def test_the_twins_have_the_same_signature() -> None:
    ours = inspect.signature(visualization.plot_sources).parameters
    twin = inspect.signature(visualization.matplotlib.plot_sources).parameters
    assert list(ours.values()) == list(twin.values())
    optunas = inspect.signature(optuna.visualization.plot_optimization_history).parameters
    assert ours["target"].annotation == optunas["target"].annotation
    assert ours["target_name"].default == optunas["target_name"].default


def test_sources_are_told_apart() -> None:
    figure = visualization.plot_sources(tuned(30))
    names = {trace.name for trace in figure.data}
    assert names == {"Best Value", "Language model", "Base sampler", "Failed"}
    model = next(trace for trace in figure.data if trace.name == "Language model")
    assert "Source: llm" in model.text[0]
    assert "Why: A small learning rate" in model.text[0]
    assert "learning_rate: " in model.text[0]
    assert "star-open" in model.marker.symbol  # pruned


def test_best_value_goes_the_right_way() -> None:
    study = tuned(30)
    best = next(t for t in visualization.plot_sources(study).data if t.name == "Best Value")
    assert best.y[-1] == study.best_value
    assert list(best.y) == sorted(best.y)


def test_target() -> None:
    figure = visualization.plot_sources(
        tuned(10, of=two), target=lambda t: t.values[1], target_name="Seconds"
    )
    assert "Best Value" not in {trace.name for trace in figure.data}
    assert figure.layout.yaxis.title.text == "Seconds"


def test_the_front_is_told_from_the_rest() -> None:
    study = tuned(20, of=two)
    study.set_metric_names(["accuracy", "<b>seconds"])
    infeasible = study.ask()
    infeasible.set_constraint("memory", 1.0)
    two(infeasible)
    study.tell(infeasible, (2.0, 0.0))
    figure = visualization.plot_front(study)
    line = next(trace for trace in figure.data if trace.name == "Pareto front")
    best = sorted((t.values[0], t.values[1]) for t in study.best_trials)
    assert list(zip(line.x, line.y, strict=True)) == best
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert sum(size == 12 for trace in dots for size in trace.marker.size) == len(best)
    hollow = [x for t in dots for x, s in zip(t.x, t.marker.symbol, strict=True) if s != "circle"]
    assert hollow == [2.0]
    assert figure.layout.xaxis.title.text == "accuracy"
    assert "<b>" not in figure.layout.yaxis.title.text
    assert visualization.plot_front(study, objectives=(1, 0)).layout.yaxis.title.text == "accuracy"


@pytest.mark.parametrize("objectives", [(0, 2), (1, 1), (-1, 0)])
def test_a_front_needs_two_objectives_of_the_study(objectives: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="objectives must be two"):
        visualization.plot_front(tuned(4, of=two), objectives=objectives)


def test_a_target_that_does_not_fit_leaves_the_trial_out() -> None:
    figure = visualization.plot_sources(tuned(4, of=objective), target=lambda t: t.values[5])
    assert figure.data == ()


def test_metric_names_are_on_the_axes() -> None:
    study = tuned(4, of=two)
    study.set_metric_names(["accuracy", "seconds"])
    layout = visualization.plot_sources(study).layout
    assert (layout.yaxis.title.text, layout.yaxis2.title.text) == ("accuracy", "seconds")


def advice_of(study: Study, param: str) -> dict[str, Any]:
    return {t.name: t for t in visualization.plot_advice(study, params=[param]).data}


def test_advice_shows_what_was_proposed_and_how_it_moved() -> None:
    study = tuned(30)
    rate = advice_of(study, "learning_rate")
    assert visualization.plot_advice(study, ["learning_rate"]).layout.yaxis.type == "log"
    medians = rate["The model's advice"]
    assert len(medians.x) == 5
    assert len(set(medians.y)) > 1
    assert all(1e-6 <= value <= 1e-1 for value in rate["The model's range"].y)
    assert len(rate["Trial in the better quarter"].x) == 6
    batch = advice_of(study, "batch_size")
    assert set(batch["The model's advice"].x) == set(medians.x)


def test_advice_shows_exactly_the_configurations() -> None:
    answer = [
        {"learning_rate": rate, "batch_size": batch, "n_layers": layers, "dropout": 0.1}
        for rate, batch, layers in ((1e-4, "64", 2), (1e-2, "64", 50), (1e-3, "32", 3))
    ]
    llm = FakeLLM(lambda request: json.dumps({"configs": answer}))
    study = tuned(1, of=objective, llm=llm, n_configs=3)
    for param, low, median, high in (
        ("learning_rate", 1e-4, 1e-3, 1e-2),
        ("n_layers", 2, 3, 12),  # cut to the range
        ("dropout", 0.1, 0.1, 0.1),
    ):
        traces = advice_of(study, param)
        assert list(traces["The model's range"].y) == [high, high, low, low]
        assert list(traces["The model's median"].y) == [median, median]
        assert list(traces["The model's advice"].x) == [0]
    choice = advice_of(study, "batch_size")
    assert "The model's range" not in choice
    assert list(choice["The model's advice"].y) == [0, 1]
    assert [text.split("<br>")[1] for text in choice["The model's advice"].text] == [
        "32, 33% of them",
        "64, 67% of them",
    ]


def test_params_are_chosen_and_checked() -> None:
    study = tuned(4, of=objective)
    figure = visualization.plot_advice(study, params=["dropout"])
    assert [a.text for a in figure.layout.annotations] == ["dropout"]
    with pytest.raises(ValueError, match="nonsense"):
        visualization.plot_advice(study, params=["nonsense"])


def test_many_parameters_fit() -> None:
    study = optuna.create_study()
    space = {f"p{i}": FloatDistribution(0, 1) for i in range(80)}
    params = dict.fromkeys(space, 0.5)
    study.add_trial(create_trial(value=1.0, params=params, distributions={**space}))
    assert len(visualization.plot_advice(study).layout.annotations) == 80


def test_usage_adds_up() -> None:
    study = tuned(30)
    figure = visualization.plot_llm_usage(study, price=Price(1, 1))
    lines = {trace.name: trace.y for trace in figure.data}
    assert lines["Cost"][-1] == pytest.approx(
        (lines["Tokens in"][-1] + lines["Tokens out"][-1]) / 1e6
    )
    assert "Cost" not in {t.name for t in visualization.plot_llm_usage(study).data}
    failed = visualization.plot_llm_usage(silent_model()).data
    assert {trace.name for trace in failed} == {"Call without advice"}


def test_matplotlib_settings_stay_as_they_were() -> None:
    before = dict(pyplot.rcParams)
    visualization.matplotlib.plot_sources(empty())
    assert dict(pyplot.rcParams) == before


@pytest.mark.parametrize("name", NAMES)
def test_without_plotly_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r"\[plot\]"):
        getattr(visualization, name)(empty())


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"\[plot\]"):
        visualization.matplotlib.plot_sources(empty())


def test_importing_it_imports_no_plotting() -> None:
    code = "import sys, optuna_llm_sampler.visualization as v; v.is_available();"
    heavy = "('plotly.graph_objects', 'matplotlib', 'optuna_dashboard')"
    code += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
