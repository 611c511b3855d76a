"""Spaces with branches: inferred or given, told, and answered branch by branch."""

from __future__ import annotations

from collections.abc import Mapping
import json
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
from optuna.study import StudyDirection
from optuna.trial import create_trial, Trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._advice.prompts import build
from optuna_llm_sampler._advice.prompts.grammar import list_grammar
from optuna_llm_sampler._advice.prompts.notation import Notation
from optuna_llm_sampler._advice.prompts.variants import variants
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.conditions import branches, of_branch, parents_first, tree
from optuna_llm_sampler._study.history import History
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {
    "svm_c": FloatDistribution(1e-3, 1e3, log=True),
    "degree": IntDistribution(2, 6),
    "model": CategoricalDistribution(["svm", "forest", "boost"]),
    "kernel": CategoricalDistribution(["rbf", "poly"]),
    "trees": IntDistribution(5, 500),
    "rate": FloatDistribution(1e-3, 1.0, log=True),
    "scale": CategoricalDistribution([True, False]),
}
CONDITIONS = {
    "svm_c": {"model": ["svm"]},
    "kernel": {"model": ["svm"]},
    "degree": {"kernel": ["poly"]},
    "trees": {"model": ["forest", "boost"]},
    "rate": {"model": ["boost"]},
}
LABELS = {name: {p: tuple(v) for p, v in parents.items()} for name, parents in CONDITIONS.items()}


def objective(trial: Trial) -> float:
    value = 0.1 * trial.suggest_categorical("scale", [True, False])
    model = trial.suggest_categorical("model", ["svm", "forest", "boost"])
    if model == "svm":
        value += trial.suggest_float("svm_c", 1e-3, 1e3, log=True) / 1e3
        if trial.suggest_categorical("kernel", ["rbf", "poly"]) == "poly":
            value += trial.suggest_int("degree", 2, 6)
        return value
    value += trial.suggest_int("trees", 5, 500) / 500
    if model == "boost":
        value += trial.suggest_float("rate", 1e-3, 1.0, log=True)
    return value


def history(n: int, seed: int = 0) -> History:
    """What is known after trials of the objective at random points."""
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    study.optimize(objective, n_trials=n)
    found = History([StudyDirection.MINIMIZE])
    for trial in study.trials:
        found.add(trial)
    return found


def question(known: History, **options: Any) -> Question:
    space = known.space()
    conditions = known.conditions(space)
    return Question(
        parents_first(space, conditions),
        known.summary([], None),
        conditions=conditions,
        optional=known.optional(list(space), conditions),
        untried=known.untried(space),
        **options,
    )


# --- what the trials say --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_structure_is_inferred_from_what_appeared_together(seed: int) -> None:
    known = history(60, seed)
    assert known.conditions(known.space()) == LABELS
    assert known.optional(list(SPACE), LABELS) == frozenset()


def test_failed_trials_show_what_is_used_but_not_what_is_not() -> None:
    known = history(60)
    cut = {"scale": True, "model": "svm"}  # the objective raised before it asked for the rest
    known.add(
        create_trial(
            state=TrialState.FAIL, params=cut, distributions={name: SPACE[name] for name in cut}
        )
    )
    assert known.conditions(known.space()) == LABELS


def test_a_number_of_layers_decides_about_the_layers_beyond_those_tried() -> None:
    def layers(trial: Trial) -> float:
        n = trial.suggest_int("n_layers", 1, 6)
        return sum(trial.suggest_int(f"units_{i}", 8, 256) for i in range(n))

    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for n in (1, 2, 3, 1, 2):
        study.enqueue_trial({"n_layers": n})
    study.optimize(layers, n_trials=5)
    known = History([StudyDirection.MINIMIZE])
    for trial in study.trials:
        known.add(trial)
    space = known.space()
    assert known.conditions(space) == {
        "units_1": {"n_layers": (2, 3, 4, 5, 6)},
        "units_2": {"n_layers": (3, 4, 5, 6)},
    }
    text = build(question(known), "json").messages[1]["content"]
    assert 'with "n_layers" = 3 to 6: "units_2"' in text
    assert 'Nobody has tried "n_layers" = 4 to 6.' in text


def test_a_parameter_that_came_later_is_new_and_not_optional() -> None:
    known = history(0)
    x, y = FloatDistribution(0, 1), FloatDistribution(0, 2)
    for number in range(6):
        params = {"x": 0.5} if number < 3 else {"x": 0.5, "y": 1.0}
        trial = create_trial(
            value=0.0, params=params, distributions={n: {"x": x, "y": y}[n] for n in params}
        )
        trial.number = number
        known.add(trial)
    assert known.optional(["x", "y"], {}) == frozenset()


def test_a_parameter_that_is_used_no_more_is_not_asked_for() -> None:
    known = history(0)
    for number in range(40):
        name = "old" if number < 10 else "new"
        trial = create_trial(
            value=0.0, params={name: 0.5}, distributions={name: FloatDistribution(0, 1)}
        )
        trial.number = number
        known.add(trial)
    assert list(known.space()) == ["new"]


def test_many_independent_groups_are_told_apart() -> None:
    """Six choices, each with parameters of its own: 729 combinations, of which few are seen."""
    rng = random.Random(0)
    known = history(0)
    for number in range(60):
        distributions: dict[str, BaseDistribution] = {}
        params: dict[str, Any] = {}
        for i in range(6):
            choice = params[f"m{i}"] = rng.choice("abc")
            distributions[f"m{i}"] = CategoricalDistribution(["a", "b", "c"])
            params[f"x{i}{choice}"] = rng.random()
            distributions[f"x{i}{choice}"] = FloatDistribution(0, 1)
        trial = create_trial(value=rng.random(), params=params, distributions=distributions)
        trial.number = number
        known.add(trial)
    found = known.conditions(known.space())
    assert found == {f"x{i}{c}": {f"m{i}": (c,)} for i in range(6) for c in "abc"}


# --- what the model is told -----------------------------------------------------------------


def test_a_large_model_is_shown_the_tree_and_the_branches_nobody_tried() -> None:
    known = History([StudyDirection.MINIMIZE])
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    for params in ({"model": "svm", "kernel": "rbf"}, {"model": "forest"}) * 3:
        study.enqueue_trial(params)
    study.optimize(objective, n_trials=6)
    for trial in study.trials:
        known.add(trial)
    request = build(question(known), "json")
    text = request.messages[1]["content"]
    assert '- always: "model", "scale"' in text
    assert '  - with "model" = "svm": "kernel", "svm_c"' in text
    assert '  - with "model" = "forest": "trees"' in text
    assert 'Nobody has tried "model" = "boost".' in text
    assert 'Nobody has tried "kernel" = "poly".' in text
    assert request.schema is not None
    one_of = request.schema["properties"]["configs"]["items"]["anyOf"]
    required = {tuple(schema["required"]) for schema in one_of}
    assert required == {
        ("model", "kernel", "scale", "svm_c", "why"),
        ("model", "scale", "trees", "why"),
        ("model", "scale", "why"),
    }
    assert [schema["properties"]["model"]["enum"] for schema in one_of].count(["boost"]) == 1


def test_a_small_model_writes_one_configuration_per_branch() -> None:
    asked = question(history(60), n_configs=8)
    request = build(asked, "code")
    text = request.messages[1]["content"]
    assert (
        "    dict(model='svm', kernel='poly', degree=2 | 3 | 4 | 5 | 6, scale=True | False, "
        "svm_c=...),\n"
    ) in text
    assert "    dict(model='boost', rate=..., scale=True | False, trees=...),\n" in text
    assert len(variants(asked)) == 4
    assert request.n == 2
    assert request.grammar == list_grammar(asked.space, variants(asked), Notation(braces=False))
    assert "v3" in request.grammar


def test_an_untried_branch_comes_first_for_a_small_model() -> None:
    space = {name: SPACE[name] for name in ("model", "svm_c", "trees")}
    conditions = {"svm_c": {"model": ("svm",)}, "trees": {"model": ("forest",)}}
    asked = Question(
        space, history(0).summary([], None), conditions=conditions, untried={"model": ("boost",)}
    )
    assert [v.where["model"] for v in variants(asked)] == [("boost",), ("svm",), ("forest",)]


# --- what becomes of the answers ------------------------------------------------------------


def test_parameters_of_other_branches_are_dropped_and_not_counted() -> None:
    text = json.dumps(
        {"configs": [{"model": "forest", "trees": 50, "svm_c": 1e9, "degree": "x", "kernel": "?"}]}
    )
    advice = parse([text], SPACE, conditions=LABELS)
    assert [dict(config.params) for config in advice.configs] == [{"model": "forest", "trees": 50}]
    assert advice.repaired == {}
    assert advice.rejected == {}


def test_a_list_of_calls_is_read_branch_by_branch() -> None:
    text = (
        "```python\nparams = [\n    dict(model='svm', svm_c=1e2, kernel='poly', degree=3),\n"
        "    dict(model='forest', trees=100),\n    dict(model='boost', trees=5, rate=3e-2"
    )
    found = [config.params for config in parse([text], SPACE, conditions=LABELS).configs]
    assert found[0] == {"model": "svm", "svm_c": 100.0, "kernel": "poly", "degree": 3}
    assert found[1] == {"model": "forest", "trees": 100}


def test_a_parameter_goes_with_its_parent() -> None:
    params = {"model": "forest", "kernel": "poly", "degree": 3, "trees": 5}
    assert of_branch(params, LABELS) == {"model": "forest", "trees": 5}
    assert of_branch({"degree": 3}, LABELS) == {"degree": 3}  # of its parent nothing is known


def test_branches_are_counted_up_to_a_limit() -> None:
    assert [b.where for b in branches(SPACE, LABELS, 9)] == [
        {"model": ("svm",), "kernel": ("rbf",)},
        {"model": ("svm",), "kernel": ("poly",)},
        {"model": ("forest",)},
        {"model": ("boost",)},
    ]
    many: dict[str, BaseDistribution] = {f"a{i}": SPACE["model"] for i in range(40)}
    many |= {f"b{i}": SPACE["rate"] for i in range(40)}
    conditions = {f"b{i}": {f"a{i}": ("svm",)} for i in range(40)}
    assert len(branches(many, conditions, 10)) == 10
    assert len(tree(many, conditions)) == 41


def test_branches_of_thousands_of_parameters() -> None:
    space = {**SPACE, **{f"x{i}": FloatDistribution(0, 1) for i in range(2_000)}}
    found = branches(space, LABELS, 9)
    assert [b.where for b in found] == [b.where for b in branches(SPACE, LABELS, 9)]
    assert all("x1999" in branch.names for branch in found)


# --- through the sampler --------------------------------------------------------------------

POINTS: list[dict[str, Any]] = [
    {"model": "svm", "svm_c": 1.0, "kernel": "poly", "degree": 3, "scale": "True"},
    {"model": "forest", "trees": 100, "scale": "False", "svm_c": 5.0},
    {"model": "boost", "trees": 50, "rate": 0.1, "scale": "True"},
]


def answer(request: Request) -> str:
    if request.schema is not None:
        return json.dumps({"configs": POINTS})
    shown = [{k: v for k, v in point.items() if k != "scale"} for point in POINTS]
    calls = [", ".join(f"{k}={v!r}" for k, v in point.items()) for point in shown]
    return ",\n".join(f"dict({call}, scale=True)" for call in calls)


@pytest.mark.parametrize("style", ["json", "code"])
def test_every_branch_is_the_models(style: Any) -> None:
    llm = FakeLLM(answer, style=style)
    sampler = LLMSampler(
        llm,
        search_space=SPACE,
        conditions=CONDITIONS,
        base_sampler=RandomSampler(seed=0),
        n_configs=3,
        documented_defaults=False,  # other tests have imported libraries
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=3)
    assert [t.user_attrs["llm_source"] for t in study.trials] == ["llm"] * 3
    assert not any("llm_from_base" in t.user_attrs for t in study.trials)
    assert not any("llm_repaired" in t.user_attrs for t in study.trials)
    by_model = {trial.params["model"]: trial.params for trial in study.trials}
    assert by_model["svm"]["degree"] == 3
    assert set(by_model) == {"svm", "forest", "boost"}
    if style == "json":  # samples are moved towards the middle of the ranges
        assert by_model["forest"]["trees"] == 100
        assert by_model["boost"]["rate"] == 0.1
    assert len(llm.requests) == 1


def test_what_the_model_was_not_told_of_comes_from_the_base_sampler() -> None:
    def handler(request: Request) -> str:
        return json.dumps({"configs": [{"model": "forest", "scale": "True"}]})

    study = optuna.create_study(
        sampler=LLMSampler(FakeLLM(handler), base_sampler=RandomSampler(seed=0), seed=0)
    )
    study.enqueue_trial({"model": "svm", "kernel": "rbf"})
    study.optimize(objective, n_trials=2)
    assert study.trials[1].params["model"] == "forest"
    assert study.trials[1].user_attrs["llm_from_base"] == "trees"


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([], "conditions must be a mapping"),
        ({"depth": {"model": ["svm"]}}, "'depth', which is not in search_space"),
        ({"trees": {"modle": ["svm"]}}, "'modle', which is not in search_space"),
        ({"trees": {"model": "svm"}}, "need a list of values of 'model'"),
        ({"trees": {"model": ["tree"]}}, "'tree' for 'model'"),
        ({"trees": {"svm_c": [1.0]}}, "only a choice or an integer"),
        ({"trees": ["svm"]}, "must map parameters to lists"),
        ({"model": {"kernel": ["rbf"]}, "kernel": {"model": ["svm"]}}, "form a cycle"),
    ],
)
def test_conditions_are_checked(conditions: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        LLMSampler(FakeLLM(answer), search_space=SPACE, conditions=conditions)
    assert str(caught.value).startswith("conditions")


def test_conditions_need_a_space() -> None:
    with pytest.raises(ValueError, match="conditions need search_space"):
        LLMSampler(FakeLLM(answer), conditions=CONDITIONS)
