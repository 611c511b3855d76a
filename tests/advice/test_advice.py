from __future__ import annotations

import json
from typing import Any

from hypothesis import given, strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler._advice.advice import Advice, from_json, MAX_CONFIGS, to_json, values
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._study.distance import Points

from ..support.pipeline import assert_optuna_keeps
from ..support.strategies import distributions, json_values


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "layers": IntDistribution(1, 8),
    "act": CategoricalDistribution(["relu", "tanh (x)", None, True]),
}
GOOD = {"lr": 3e-4, "layers": 2, "act": "relu"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"configs": [GOOD]}),
        json.dumps([GOOD]),
        json.dumps(GOOD),
        json.dumps({"configs": [{"params": GOOD, "why": "x"}]}),
        f"Sure! Here you are:\n```json\n{json.dumps({'configs': [GOOD]}, indent=1)}\n```\nEnjoy.",
        "```python\nparams = dict(lr=3e-4, layers=2, act='relu')",
        'params = dict(lr=3e-4, layers=2, act="relu"',
        'params = {"lr": 3e-4, "layers": 2, "act": "relu"}',
    ],
)
def test_forms_of_an_answer(text: str) -> None:
    advice = parse([text], SPACE)
    assert [dict(config.params) for config in advice.configs] == [GOOD]
    assert advice.repaired == {}


def test_good_items_survive_bad_ones() -> None:
    items: list[Any] = [GOOD, "text", {}, {"lr": "NaN"}, {**GOOD, "lr": 5.0}, {"act": "swish"}]
    advice = parse([json.dumps({"configs": items})], SPACE)
    assert [values(config, SPACE) for config in advice.configs] == [GOOD, {**GOOD, "lr": 0.1}]
    assert advice.repaired == {"clipped": 1}
    assert advice.rejected == {
        "not_an_object": 1,
        "no_parameter": 3,
        "not_finite": 1,
        "not_a_choice": 1,
    }


def test_a_missing_parameter_is_left_to_the_base_sampler() -> None:
    advice = parse([json.dumps({"configs": [{"lr": 1e-3, "layers": None}]})], SPACE)
    assert values(advice.configs[0], SPACE) == {"lr": 1e-3}
    assert advice.rejected == {}


def test_repetitions_are_one_idea() -> None:
    near = {**GOOD, "lr": 3.001e-4}
    other = {**GOOD, "layers": 7}
    text = json.dumps({"configs": [GOOD, near, GOOD, other]})
    tried = Points([other])
    advice = parse([text], SPACE, is_duplicate=lambda p: tried.has_duplicate(p, SPACE))
    assert len(advice.configs) == 1
    assert advice.n_ideas == 2
    assert advice.rejected == {"repeated": 2, "known": 1}


def test_a_note_is_one_printable_line() -> None:
    answer = {
        "configs": [GOOD],
        "note": "line\nbreak\x00 and \ud800 surrogate " + "x" * 5000,
    }
    advice = parse([json.dumps(answer)], SPACE)
    assert advice.note.startswith("line break and ? surrogate x")
    assert len(advice.note) == 2000
    advice.note.encode("utf-8")


@given(json_values() | st.just({"lr": {"center": 1e-3, "low": 1e-4, "high": 1e-2}}))
def test_a_prior_that_nobody_asked_for_changes_nothing(prior: Any) -> None:
    answer = {"configs": [GOOD], "note": "x"}
    assert parse([json.dumps({"prior": prior, **answer})], SPACE) == parse(
        [json.dumps(answer)], SPACE
    )


def test_sizes_are_bounded() -> None:
    many = json.dumps({"configs": [{**GOOD, "lr": 1e-5 * 1.5**i} for i in range(1000)]})
    assert len(parse([many], SPACE).configs) <= MAX_CONFIGS
    for text in ("[" * 100_000, '{"a":' * 100_000, "9" * 1_000_000, "dict(" * 50_000):
        assert parse([text], SPACE).configs == ()
    digits = parse(['{"layers": ' + "9" * 5000 + "}"], SPACE)
    assert digits.configs == ()
    assert digits.rejected["not_a_number"] == 1


@given(
    st.dictionaries(st.sampled_from(["a", "b", "lr"]), distributions(), min_size=1),
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "lr", "why"]), json_values())),
    st.text(max_size=20),
)
def test_whatever_comes_is_legal_or_counted(
    space: dict[str, BaseDistribution], items: list[dict[str, Any]], around: str
) -> None:
    text = around + json.dumps({"configs": items}) + around
    advice = parse([text, around], space)
    for config in advice.configs:
        for name, value in values(config, space).items():
            assert_optuna_keeps(value, space[name])
    assert all(count > 0 for count in advice.rejected.values())
    stored = json.loads(json.dumps(to_json(advice)))
    assert from_json(stored) == advice


@given(json_values())
def test_storage_may_hold_anything(content: Any) -> None:
    for data in (content, {"configs": content, "note": content}):
        if isinstance(data, dict):
            try:
                advice = from_json(data)
            except ValueError:
                continue
            assert isinstance(advice, Advice)
