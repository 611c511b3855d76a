"""What differs for the sampler differs for the model, and what is legal is called legal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import json
import math
import re
from typing import Any, Literal

from hypothesis import assume, given, strategies as st
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
from optuna_llm_sampler._advice.prompts.grammar import code_grammar
from optuna_llm_sampler._advice.prompts.notation import Notation
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.numbers import exact, result_text, rounded, spread_of
from optuna_llm_sampler._study.space import coerce, Coerced, is_legal
from optuna_llm_sampler._study.summary import row, StudySummary, TrialSummary
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.report.explain import fact_lines
from optuna_llm_sampler.report.facts import facts
from optuna_llm_sampler.report.html import to_html
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.report.text import to_text
from optuna_llm_sampler.testing import FakeLLM

from ..support.strategies import categoricals, legal_values, ranges


Direction = Literal["minimize", "maximize"]
Number = FloatDistribution | IntDistribution
STYLES = ["json", "code"]


def asked(
    points: list[dict[str, Any]],
    objective: Callable[[Trial], Any],
    *,
    style: str = "json",
    catch: type[Exception] | tuple[()] = (),
    directions: Sequence[Direction] = ("minimize",),
    **options: Any,
) -> str:
    """Run these trials, then one of the sampler's; return what the model was told."""
    study = optuna.create_study(sampler=RandomSampler(seed=0), directions=list(directions))
    for point in points:
        study.enqueue_trial(point)
    study.optimize(objective, n_trials=len(points), catch=catch)
    llm = FakeLLM(lambda request: "", style=style)
    study.sampler = LLMSampler(
        llm, base_sampler=RandomSampler(seed=1), llm_share=1.0, seed=0, **options
    )
    while (
        not llm.requests and len(study.trials) < len(points) + 5
    ):  # an earlier study's come first
        study.optimize(objective, n_trials=1, catch=catch)
    return user(llm.requests[0])


def user(request: Request) -> str:
    return next(m["content"] for m in request.messages if m["role"] == "user")


def apart(a: float, b: float, distribution: Number) -> float:
    """Return how far two values are apart, as a share of the range in its own scale."""
    low, high = distribution.low, distribution.high
    if a == b:
        return 0
    if distribution.log:
        return abs(math.log(a / b)) / math.log(high / low)
    return abs(a - b) / (high - low)


def numbers(draw: st.DrawFn, n: int) -> tuple[Number, list[Any]]:
    distribution = draw(ranges())
    return distribution, [draw(legal_values(distribution)) for _ in range(n)]


# --- values of parameters -------------------------------------------------------------------


@given(st.composite(lambda draw: numbers(draw, 1))())
def test_a_legal_value_is_shown_as_one_and_maps_back(case: tuple[Number, list[Any]]) -> None:
    distribution, (value,) = case
    assume(not distribution.single())
    assume(distribution._contains(distribution.to_internal_repr(value)))
    found, legal = row(TrialSummary(0, {"x": value}), {"x": distribution})
    assert legal
    shown = json.loads(json.dumps(found["x"]))
    assert distribution.low <= shown <= distribution.high
    back = coerce(shown, distribution)
    assert isinstance(back, Coerced)
    assert back.repair == ""
    if distribution.step is not None or value in (distribution.low, distribution.high):
        assert math.isclose(
            back.value, value, rel_tol=1e-9, abs_tol=1e-9 * (distribution.step or 0)
        )
    else:
        assert apart(back.value, value, distribution) <= 0.5001e-3
    if isinstance(distribution, IntDistribution):
        assert shown == value
        assert isinstance(shown, int)


@given(st.composite(lambda draw: numbers(draw, 2))())
def test_values_that_differ_are_shown_differently(case: tuple[Number, list[Any]]) -> None:
    distribution, (a, b) = case
    assume(not distribution.single())
    if distribution.step is None and apart(a, b, distribution) <= 1.001e-3:
        return
    assert (rounded(a, distribution) < rounded(b, distribution)) == (a < b)
    assert (rounded(a, distribution) > rounded(b, distribution)) == (a > b)


@given(ranges(), st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_not_legal_is_not_rounded_to_what_is(distribution: Number, value: float) -> None:
    assume(not is_legal(value, distribution))
    assert not is_legal(rounded(value, distribution), distribution)
    assert not row(TrialSummary(0, {"x": value}), {"x": distribution})[1]


@given(ranges())
def test_bounds_and_steps_read_back_as_they_are(distribution: Number) -> None:
    for bound in (distribution.low, distribution.high, distribution.step):
        if bound is not None:
            assert type(bound)(exact(bound)) == bound


@given(categoricals(), st.data())
def test_a_choice_is_shown_as_the_label_that_leads_back(
    distribution: CategoricalDistribution, data: st.DataObject
) -> None:
    value = data.draw(st.sampled_from(distribution.choices))
    found, legal = row(TrialSummary(0, {"x": value}), {"x": distribution})
    assert legal
    back = coerce(found["x"], distribution)
    assert isinstance(back, Coerced)
    # Of choices that are equal, Optuna keeps the first.
    assert distribution.to_internal_repr(back.value) == distribution.to_internal_repr(value)


@pytest.mark.parametrize(
    ("value", "distribution", "shown"),
    [
        (0.9996, FloatDistribution(0.9, 0.9999), 0.9996),
        (0.9999, FloatDistribution(0.9, 0.9999), 0.9999),
        (0.95123456, FloatDistribution(0.9, 0.9999), 0.9512),
        (0.000123456, FloatDistribution(1e-6, 0.1, log=True), 0.000123),
        (0.123456, FloatDistribution(0, 1), 0.123),
        (1e-7, FloatDistribution(1e-7, 1), 1e-7),
        (-123456.789, FloatDistribution(-1e6, 1e6), -123000),
        (123457.891, FloatDistribution(123456, 123461), 123457.89),
        (5.4321e-13, FloatDistribution(0, 1e-12), 5.43e-13),
        (0.1 + 0.2, FloatDistribution(0, 1, step=0.1), 0.3),
        (0.1235, FloatDistribution(0, 1, step=0.0005), 0.1235),
        (123459, IntDistribution(123456, 123461), 123459),
        (2**52 + 1, IntDistribution(1, 2**53, log=True), 2**52 + 1),
        # Bounds that have moved.
        (5.00001, FloatDistribution(0, 5), 5.00001),
        (-1.23456, FloatDistribution(1e-3, 1, log=True), -1.235),
    ],
)
def test_examples_of_values(value: Any, distribution: Number, shown: Any) -> None:
    assert rounded(value, distribution) == shown


def test_a_grid_far_from_zero_has_the_values_that_optuna_draws_from_it() -> None:
    grid = FloatDistribution(1e6, 1e6 + 1, step=1e-3)
    drawn = [1e6 + k * 1e-3 for k in range(1001)]
    assert not all(grid._contains(value) for value in drawn)
    assert all(is_legal(value, grid) for value in drawn)
    assert len({rounded(value, grid) for value in drawn}) == 1001
    assert not is_legal(1e6 + 0.0005, grid)


@pytest.mark.parametrize("style", STYLES)
def test_legal_values_of_every_kind_are_in_the_prompt(style: str) -> None:
    space: dict[str, BaseDistribution] = {
        "hidden_dim": IntDistribution(16, 1024),
        "gamma": FloatDistribution(0.9, 0.9999),
        "offset": FloatDistribution(123456, 123461),
        "rate": FloatDistribution(1.23456e-5, 0.123456, log=True),
        "share": FloatDistribution(0.05, 0.95, step=0.15),
    }
    points: list[dict[str, Any]] = [
        {"hidden_dim": 1024, "gamma": 0.9999, "offset": 123461.0, "rate": 0.123456, "share": 0.95},
        {"hidden_dim": 1023, "gamma": 0.9996, "offset": 123460.5, "rate": 0.122, "share": 0.8},
        {"hidden_dim": 16, "gamma": 0.9, "offset": 123456.0, "rate": 1.23456e-5, "share": 0.05},
    ]

    def objective(trial: Trial) -> float:
        for name, distribution in space.items():
            trial._suggest(name, distribution)
        return float(trial.number)

    text = asked(points, objective, style=style)
    assert "not possible any more" not in text
    for point in points:
        written = json.dumps(point) if style == "json" else call(point)
        assert written in text
    if style == "json":
        assert '"gamma": number from 0.9 to 0.9999.' in text
        assert '"offset": number from 123456 to 123461.' in text
        assert '"rate": number from 1.23456e-05 to 0.123456, searched on' in text


def test_what_runs_is_shown_as_it_is() -> None:
    llm = FakeLLM(lambda request: "")
    study = optuna.create_study(
        sampler=LLMSampler(llm, base_sampler=RandomSampler(seed=1), llm_share=1.0, seed=0)
    )
    told, running = ({"gamma": 0.95, "n": 1}, {"gamma": 0.9999, "n": 1024})
    for point in (told, running, {}):
        study.enqueue_trial(point)
        trial = study.ask()
        trial.suggest_float("gamma", 0.9, 0.9999)
        trial.suggest_int("n", 1, 1024)
        if point is told:
            study.tell(trial, 1.0)
    text = user(llm.requests[-1])
    assert 'do not repeat:\n{"gamma": 0.9999, "n": 1024}\n' in text
    assert "not possible any more" not in text


def call(point: Mapping[str, Any]) -> str:
    return f"dict({', '.join(f'{name}={value}' for name, value in point.items())})"


# --- results --------------------------------------------------------------------------------


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=16, unique=True),
    st.integers(-1000, 1000),
    st.integers(-12, 9),
    st.booleans(),
)
def test_results_that_differ_read_differently(
    steps: list[int], place: int, exponent: int, minimize: bool
) -> None:
    scale = 10.0**exponent
    values = [place * 1000 * scale + step * scale for step in steps]
    found = spread_of(values, minimize=minimize)
    assert found.high > found.low
    best = sorted(values, reverse=not minimize)[: max(3, (len(values) + 1) // 2)]
    assert found.high - found.low <= (max(best) - min(best)) * (1 + 1e-6)
    within = [v for v in values if found.low <= v <= found.high]
    for a in within:
        for b in within:
            if abs(a - b) > 1.001e-3 * (found.high - found.low):
                assert result_text(a, found) != result_text(b, found)
    assert max(len(result_text(v, found).lstrip("-").replace(".", "")) for v in values) <= 16


@pytest.mark.parametrize("style", STYLES)
def test_results_that_differ_little_are_told_apart(style: str) -> None:
    def objective(trial: Trial) -> float:
        n = trial.suggest_int("n", 123456, 123461)
        return 1e9 if n == 123456 else float(n)

    text = asked([{"n": n} for n in range(123456, 123462)], objective, style=style)
    lines = [line.partition(" [")[0] for line in text.splitlines()]
    rows = [line for line in lines if line.endswith(("}", ")")) and "1234" in line]
    first = [row.replace(":", " ").split()[0] for row in rows if row[0].isdigit()]
    assert first[0] == "1e+09"
    assert [float(value) for value in first[1:]] == [123461, 123460, 123459, 123458, 123457]


def test_digits_of_results_stop_at_rounding_errors() -> None:
    found = spread_of([0.1 + 0.2, 0.3, 0.30000000000000010])
    assert result_text(0.1 + 0.2, found) == "0.3"
    assert result_text(math.inf, spread_of([0.5, math.inf, math.nan])) == "inf"


@pytest.mark.parametrize("style", STYLES)
def test_violations_and_shared_attributes_are_told_apart(style: str) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_int("x", 1, 5)
        trial.set_constraint("memory", 70_000 + x)
        trial.set_user_attr("seconds", 5000 + x / 10)
        return float(x)

    text = asked(
        [{"x": x} for x in range(1, 6)], objective, style=style, share_user_attrs=["seconds"]
    )
    for x in range(1, 6):
        assert f"by {70_000 + x}" in text
        assert f"{5000 + x / 10}" in text


def test_ends_of_the_front_are_told_apart() -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x = trial.suggest_int("x", 0, 4)
        return 123456.0 + x, 0.99991 - x / 1e5

    text = asked([{"x": x} for x in range(5)], objective, directions=("minimize", "minimize"))
    assert (
        "the best objective 0 123456 goes with objective 1 0.99991; "
        "the best objective 1 0.99987 goes with objective 0 123460." in text
    )


@pytest.mark.parametrize("style", STYLES)
def test_curves_are_told_apart(style: str) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_int("x", 1, 5)
        for step in range(5):
            trial.report(123456 + x - step / 10, step)
        raise optuna.TrialPruned

    text = asked([{"x": x} for x in range(1, 6)], objective, style=style)
    for x in range(1, 6):
        assert f"{123456 + x} → {123456 + x - 0.4} until step 4" in text


def test_a_region_that_fails_begins_beyond_the_last_success() -> None:
    @record_failures
    def objective(trial: Trial) -> float:
        n = trial.suggest_int("n", 1, 10**6)
        x = trial.suggest_float("x", 0, 10)
        if n > 123456:
            raise MemoryError
        return n + x

    points = [{"n": n, "x": 1.0} for n in (1000, 123456)]
    points += [{"n": n, "x": 1.00001} for n in (123457, 123461)]
    text = asked(points, objective, catch=MemoryError)
    assert '"n" from 123457 up: all 2 failed.' in text
    assert '"x" from 1.00001 up: all 2 failed.' in text


@pytest.mark.parametrize("style", STYLES)
def test_earlier_studies_are_told_as_exactly(style: str) -> None:
    def objective(trial: Trial) -> float:
        gamma = trial.suggest_float("gamma", 0.9, 0.9999)
        return 123456 + round((0.9999 - gamma) * 100)

    earlier = optuna.create_study(sampler=RandomSampler(seed=0))
    for gamma in (0.9996, 0.98, 0.96, *[0.94] * 9):
        earlier.enqueue_trial({"gamma": gamma})
    earlier.optimize(objective, n_trials=12)
    space = {"gamma": FloatDistribution(0.9, 0.9999)}
    points = [{"gamma": 0.91}] * 3
    text = asked(points, objective, style=style, history=[earlier], search_space=space)
    assert "1.0" not in text
    told = [(0.9996, 123456), (0.98, 123458), (0.96, 123460)]
    for gamma, value in told if style == "json" else told[:2]:
        assert any(
            line.startswith(str(value)) and str(gamma) in line for line in text.splitlines()
        )


def narrow() -> optuna.Study:
    """A study whose trials differ in the fourth digit or beyond."""

    def objective(trial: Trial) -> float:
        gamma = trial.suggest_float("gamma", 0.9, 0.9999)
        return 123456 + round((0.9999 - gamma) * 10_000) + trial.suggest_int("n", 0, 10**6) / 10**6

    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for k, gamma in enumerate((0.9996, 0.9998, 0.9997, 0.9995)):
        study.enqueue_trial({"gamma": gamma, "n": k})
    study.optimize(objective, n_trials=4)
    return study


def test_reports_tell_results_and_values_apart() -> None:
    made = report(narrow())
    assert "Best trial\nTrial 1, not recorded: 123457\ngamma = 0.9998, n = 1\n" in to_text(made)
    page = to_html(made)
    for value, gamma in ((123459, 0.9996), (123458, 0.9997), (123460, 0.9995)):
        assert f"<td class='nowrap'>{value}</td>" in page
        assert f"gamma = {gamma}" in page


def test_facts_for_an_explanation_are_told_apart() -> None:
    lines = fact_lines(facts(narrow()))
    assert any(line.startswith("Best: 123457") for line in lines)
    assert any("0.9998 to 0.9998" in line and "0.9 to 0.9999" in line for line in lines)
    assert any("searched 0 to 1000000; " in line for line in lines)


# --- what a grammar lets a model write ------------------------------------------------------


def writings(value: float) -> Iterator[str]:
    """Write a number with every number of digits, plainly and with an exponent."""
    if value == int(value):
        yield str(int(value))
    for digits in range(18):
        yield f"{value:.{digits}f}"
        mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
        yield f"{mantissa}e{int(exponent)}"
    whole, _, decimals = f"{value:.17f}".partition(".")
    for digits in range(1, 17):  # not rounded: a bound rounded up is out of range
        yield f"{whole}.{decimals[:digits]}"


def nearest(value: float, distribution: Number, *, exponents: bool) -> str | None:
    """Return what the grammar allows for a value and our reader takes for it, or nearly so."""
    grammar = code_grammar({"x": distribution}, Notation(braces=False), exponents=exponents)
    terminal = grammar.splitlines()[-1].removeprefix("P0: ")
    pattern = re.compile(
        terminal[1:-1] if terminal[0] == "/" else terminal.replace('"', "").replace(" ", "")
    )
    for text in writings(value):
        if pattern.fullmatch(text):
            (config,) = parse([f"dict(x={text})"], {"x": distribution}).configs or (None,)
            if config and apart(config.params["x"], value, distribution) <= 0.0101:
                return text
    return None


@given(st.composite(lambda draw: numbers(draw, 1))(), st.booleans())
def test_a_grammar_can_write_every_legal_value(
    case: tuple[Number, list[Any]], exponents: bool
) -> None:
    distribution, (value,) = case
    assume(not distribution.single())
    assume(distribution._contains(distribution.to_internal_repr(value)))
    assert nearest(value, distribution, exponents=exponents) is not None


@pytest.mark.parametrize("exponents", [True, False])
@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-5, 5e-5),
        FloatDistribution(0.9, 0.9999),
        FloatDistribution(-5e-5, -1e-5),
        FloatDistribution(0, 1e-12),
        FloatDistribution(-1e300, 1e300),
        FloatDistribution(1e-300, 1e300, log=True),
        FloatDistribution(123456, 123461),
        FloatDistribution(-9.999999999999998, 0),
        FloatDistribution(0.5, 0.5 + 1e-15),
        FloatDistribution(0, 1e-3, step=1e-5),
        IntDistribution(-100, 100),
        IntDistribution(123456, 123471),
        IntDistribution(1, 2**53, log=True),
        IntDistribution(0, 2**100),
        IntDistribution(-(2**53), 2**53, step=2**40),
    ],
)
def test_examples_of_ranges_that_a_grammar_can_write(
    distribution: Number, exponents: bool
) -> None:
    low, high = distribution.low, distribution.high
    for k in range(21):
        share = k / 20
        if distribution.log:
            value = math.exp((1 - share) * math.log(low) + share * math.log(high))
        else:
            value = (1 - share) * low + share * high
        legal = coerce(value, distribution)
        assert isinstance(legal, Coerced)
        assert nearest(legal.value, distribution, exponents=exponents) is not None


def test_a_number_cannot_run_away() -> None:
    space = {"n": IntDistribution(0, 10**300), "x": FloatDistribution(0, 1e300)}
    grammar = code_grammar(space, Notation(braces=False))
    assert all(int(count) < 20 for count in re.findall(r",(\d+)\}", grammar))
    assert "*" not in grammar
    assert "+" not in grammar


# --- names and choices ----------------------------------------------------------------------


def test_parameters_may_be_called_as_the_parts_of_an_answer() -> None:
    names = ["why", "why_", "params", "configs", "note", "prior"]
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        config: dict[str, Any] = {name: 0.1 * i for i, name in enumerate(names)}
        return json.dumps({"configs": [{**config, "why__": "A reason."}], "note": "A belief."})

    def objective(trial: Trial) -> float:
        return sum(trial.suggest_float(name, 0, 1) for name in names)

    space = {name: FloatDistribution(0, 1) for name in names}
    sampler = LLMSampler(
        FakeLLM(answer), search_space=space, base_sampler=RandomSampler(seed=0), seed=0
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=1)
    assert asked[0].schema is not None
    config = asked[0].schema["properties"]["configs"]["items"]
    assert config["required"] == [*names, "why__"]
    assert all(config["properties"][name] == {"type": "number"} for name in names)
    assert 'each with "why__", one short sentence' in user(asked[0])
    assert study.trials[0].params == {name: 0.1 * i for i, name in enumerate(names)}
    assert study.trials[0].user_attrs["llm_why"] == "A reason."


def test_the_value_of_a_parameter_is_no_note() -> None:
    space = {"note": CategoricalDistribution(["short", "long"])}
    for text in ('{"note": "long"}', '{"configs": [{"note": "long"}], "note": "A belief."}'):
        advice = parse([text], space)
        assert [config.params for config in advice.configs] == [{"note": "long"}]
        assert advice.note == ("A belief." if "configs" in text else "")


@pytest.mark.parametrize("style", STYLES)
def test_it_is_said_when_not_all_choices_are_shown(style: str) -> None:
    space: dict[str, BaseDistribution] = {
        "many": CategoricalDistribution([f"choice{i}" for i in range(500)]),
        "few": CategoricalDistribution(["a", "b"]),
    }
    question = Question(space, StudySummary(("minimize",), ("",)))
    text = user(build(question, style))
    more = "and 440 more" if style == "json" else "| ... 440 more"
    assert f"choice59{chr(34) if style == 'json' else chr(39)} {more}" in text
    assert text.count(" more") == 1


def test_the_ends_of_the_front_and_its_middle_are_asked_for() -> None:
    question = Question(
        {"x": FloatDistribution(0, 1)},
        StudySummary(("maximize", "minimize"), ("accuracy", "seconds")),
    )
    assert (
        "some for the highest accuracy, some for the lowest seconds, some for a good compromise."
    ) in user(build(question, "json"))
