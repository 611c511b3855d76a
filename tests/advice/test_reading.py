"""What prompts and grammars can write, the reader reads; what models write, it makes out."""

from __future__ import annotations

from enum import Enum
import functools
import json
import math
from typing import Any
import warnings

from hypothesis import given, reject, strategies as st
import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from optuna_llm_sampler._advice.advice import values
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._advice.prompts.notation import Notation
from optuna_llm_sampler._advice.prompts.text import json_text, quote
from optuna_llm_sampler._study.space import labels, SearchSpace


class Color(Enum):
    RED = 1


class Level(int, Enum):
    LOW = 1


def relu(x: float) -> float:
    return max(x, 0.0)


ODD = [
    *(
        "",
        " ",
        "a  b",
        "it's",
        '"',
        "'",
        "\\",
        "\\n",
        "\n",
        "\r\n\t",
        "a=1, b=2",
        "(1, 2)",
        "[1]",
        "{",
    ),
    *("}", ")", "dict(", "# no", "// no", "/* no", "<|im_end|>", "```", "</think>", "😀", "é"),
    *("\u2028", "\x00", "\ud800", "None", "True", "nan", "inf", "1", "1.0", "Infinity", "why"),
    *(
        "configs",
        "prior",
        "note",
        "params",
        "lambda",
        "learning rate",
        "model.lr",
        "<",
        "a|b",
        "٣",
    ),
]
SCALARS: list[Any] = [
    *(None, True, False, 0, 1, -1, 10**20, 0.5, 1.0, 1e-7, 1e300, math.inf, -math.inf, math.nan),
    *(np.float64(0.25), np.float64(math.inf)),
]
OBJECTS = [relu, math.sqrt, lambda x: x, Color, Color.RED, Level.LOW, functools.partial(relu, 1.0)]

texts = st.sampled_from(ODD) | st.text(max_size=8)
scalars = st.sampled_from(SCALARS) | st.integers() | st.floats() | texts
nested = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts, inner, max_size=2)
    ),
    max_leaves=6,
)
choices = st.lists(nested | st.sampled_from(OBJECTS), min_size=2, max_size=6)
names = texts.filter(bool)


def distribution(values: list[Any]) -> CategoricalDistribution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns of choices that a database cannot take
        return CategoricalDistribution(values)


def written(space: SearchSpace, chosen: dict[str, str], *, braces: bool) -> str:
    if braces:
        pairs = (f"{json_text(name)}: {text}" for name, text in chosen.items())
        return f"{{{', '.join(pairs)}}}"
    return f"dict({', '.join(f'{name}={text}' for name, text in chosen.items())})"


def is_same(a: Any, b: Any) -> bool:
    return a is b or a == b or (a != a and b != b)


def expected(d: CategoricalDistribution, i: int) -> Any:
    """Optuna takes the first of choices that are equal."""
    try:
        return d.choices[int(d.to_internal_repr(d.choices[i]))]
    except ValueError:  # a number of numpy's and a list, which Optuna fails to compare
        reject()


@given(choices, names, st.data())
def test_every_choice_is_read_as_it_is_written(
    values_: list[Any], name: str, data: st.DataObject
) -> None:
    d = distribution(values_)
    space: SearchSpace = {name: d, "lr": FloatDistribution(0, 1)}
    i = data.draw(st.integers(0, len(values_) - 1))
    right = expected(d, i)
    forms = [
        written(space, {name: Notation(braces=True).choices(d)[i], "lr": "0.5"}, braces=True),
        written(space, {name: json_text(labels(d)[i]), "lr": "0.5"}, braces=True),
        written(space, {name: quote(labels(d)[i]), "lr": "0.5"}, braces=True),
        json.dumps({"configs": [{"why": "so", name: labels(d)[i], "lr": 0.5}]}),
    ]
    if name.isidentifier():
        forms.append(
            written(space, {name: Notation(braces=False).choices(d)[i], "lr": "0.5"}, braces=False)
        )
    if name == "lr":
        return
    for form in forms:
        for text in (form, f"```python\nparams = {form}\n```"):
            (config,) = parse([text], space).configs
            found = values(config, space)
            assert is_same(found[name], right), text
            assert found["lr"] == 0.5


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("hidden_layer_sizes=(50,), alpha=0.01)", (50,)),
        ("hidden_layer_sizes=(100, 50), alpha=0.01)", (100, 50)),
        ("hidden_layer_sizes=[100,50,], alpha=0.01)", (100, 50)),
        ("hidden_layer_sizes=(50), alpha=0.01)", (50,)),
        ("hidden_layer_sizes='(100, 50)', alpha=0.01)", (100, 50)),
        ("hidden_layer_sizes=tuple([100.0, 50]), alpha=0.01)", (100, 50)),
        ("hidden_layer_sizes=(100), alpha=0.01)", (100,)),
    ],
)
def test_layers_as_models_write_them(text: str, chosen: tuple[int, ...]) -> None:
    space: SearchSpace = {
        "hidden_layer_sizes": distribution([(50,), (100,), (100, 50)]),
        "alpha": FloatDistribution(1e-5, 1.0, log=True),
    }
    (config,) = parse(["```python\nparams = dict(" + text], space, prefilled=True).configs
    assert values(config, space) == {"hidden_layer_sizes": chosen, "alpha": 0.01}


def test_a_function_has_the_same_label_in_every_process() -> None:
    kinds = distribution([relu, Color.RED, Level.LOW, (relu, "a"), np.float64(0.5)])
    assert labels(kinds) == ("relu", "Color.RED", "Level.LOW", "(relu, 'a')", "0.5")


# --- which of several objects is the answer ---------------------------------------------------

RATE: SearchSpace = {"lr": FloatDistribution(0, 1), "depth": IntDistribution(1, 9)}


def rates(text: str, *, prefilled: bool = False) -> list[float]:
    return [config.params["lr"] for config in parse([text], RATE, prefilled=prefilled).configs]


@pytest.mark.parametrize(
    "text",
    [
        '<think>{"lr": 0.5}</think>{"lr": 0.1}',
        '<thinking>Perhaps {"configs": [{"lr": 0.5}, </thinking>\n{"configs": [{"lr": 0.1}]}',
        '{"lr": 0.5} is too high.\n</think>\n\n```json\n{"lr": 0.1}\n```',
        '<think>I try {"lr": 0.5}. Too high. So {"lr": 0.1}',
        '<|channel|>analysis<|message|>{"lr": 0.5}<|end|><|start|>assistant<|channel|>final'
        '<|message|>{"lr": 0.1}',
        'analysisMaybe {"lr": 0.5}.assistantfinal{"lr": 0.1}',
        'First try {"configs": [{"lr": 0.5}]} Corrected: {"configs": [{"lr": 0.1}]}',
        'First try: {"lr": 0.5, "depth": }\nCorrected: {"lr": 0.1}',
        'First try: {"lr": 0.5, ...\n\nCorrected:\n{"configs": [{"lr": 0.1}]}',
        '{"configs": [{"lr": 0.1}]} In the form of {"lr": "a number"}, as {"asked": "for"}.',
        '{"configs": [{"lr": 0.1, "why": "</think> {\\"lr\\": 0.5}"}]}',
        '<think>so</think>{"lr": 0.1, "depth": 3',
    ],
)
def test_the_final_answer_counts(text: str) -> None:
    assert rates(text) == [0.1]


@pytest.mark.parametrize(
    "text",
    [
        '{"lr": 0.1}\n{"lr": 0.2}\n{"lr": 0.3}',
        '{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}',
        '```json\n{"lr": 0.1}\n```\n```json\n{"lr": 0.2}\n```\n```json\n{"lr": 0.3}\n```',
        'Here are three.\n1. {"lr": 0.1}\n2. {"lr": 0.2}\n3. {"lr": 0.3}',
        '1. **Safe**: {"lr": 0.1}\n2. **Bold**: {"lr": 0.2}\n3. **Odd**: {"lr": 0.3}',
        '### Option 1: a\n{"lr": 0.1}\n### Option 2: bc\n{"lr": 0.2}\n### Option 3\n{"lr": 0.3}',
        "params = dict(lr=0.1)\nparams = dict(lr=0.2)\nparams = dict(lr=0.3)",
        "# small\na = dict(lr=0.1)\n# larger\nb = dict(lr=0.2)\nc = dict(lr=0.3)",
        '{"configs": [{"lr": 0.1}]}\n{"configs": [{"lr": 0.2}, {"lr": 0.3}]}',
    ],
)
def test_answers_in_a_row_are_all_read(text: str) -> None:
    assert rates(text) == [0.1, 0.2, 0.3]


def test_after_a_beginning_of_ours_the_first_object_is_the_answer() -> None:
    script = "params = dict(lr=0.1, depth=3)\nmodel = Model(lr=0.5)\nother = dict(lr=0.4)"
    assert rates(script, prefilled=True) == [0.1]
    assert rates('params = dict(Here it is: {"lr": 0.1}', prefilled=True) == [0.1]


def test_an_answer_that_is_cut_gives_its_whole_configurations() -> None:
    text = '{"configs": [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}, {"lr": 0.4, "dep'
    advice = parse([text], RATE)
    assert [config.params["lr"] for config in advice.configs] == [0.1, 0.2, 0.3]
    assert advice.rejected == {"cut": 1}


# --- what models wrap an answer into, and what they get wrong ---------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"parameters": {"lr": 0.1}}',
        '{"config": {"lr": 0.1}, "reasoning": "low"}',
        '{"name": "suggest", "arguments": "{\\"lr\\": 0.1}"}',
        '{"tool_calls": [{"function": {"name": "f", "arguments": "{\\"lr\\": 0.1}"}}]}',
        '{"answer": "{\\"configs\\": [{\\"lr\\": 0.1}]}"}',
        '{"configs": {"1": {"lr": 0.1}}}',
        '{"configs": "[{\\"lr\\": 0.1}]"}',
        '{"result": {"hyperparameters": [{"trial": 1, "values": {"lr": 0.1}}]}}',
        '[{"lr": 0.1}]',
        '[[{"lr": 0.1}]]',
        '{{"lr": 0.1}}',
        "Config(lr=0.1)",
        '"{\\"lr\\": 0.1}"',
        '{"lr": 0.1, // low\n "depth": 3,}',
        '{"lr": 0.1, # it\'s low\n}',
        '{/* the {rate} */ "lr": 0.1, }',
        "{'lr': 0.1, 'depth': None, 'other': True,}",
        "{lr: 0.1}",
        '{"lr": 0.1\n "depth": 3}',
        '{"lr": (0.1), "depth": int(3)}',
        '{"lr": 0.1, "depth": NaN}',
        '{"lr": 0.1, "why": "two\nlines"}',
        '{"lr": 0.1, "why": "an "inner" quote"}',
        "Here's what I'd try: {'lr': 0.1}",
        '{"configs": [{"lr": 0.1]}',
    ],
)
def test_wrapped_and_slightly_broken(text: str) -> None:
    assert rates(text) == [0.1]


def test_the_reason_comes_out_of_the_envelope() -> None:
    text = '{"configs": [{"params": {"lr": 0.1}, "why": "low"}], "note": "n"}'
    advice = parse([text], RATE)
    assert [config.why for config in advice.configs] == ["low"]
    assert advice.note == "n"


def test_parameters_in_and_around_an_inner_object_are_one_configuration() -> None:
    advice = parse(['{"depth": 3, "params": {"lr": 0.1}}'], RATE)
    assert [config.params for config in advice.configs] == [{"lr": 0.1, "depth": 3}]


@pytest.mark.parametrize(
    ("text", "rejected"),
    [
        ('{"configs": [{"lr": 0.1}, {"lr": 10 ** -3}]}', {"not_a_number": 1, "no_parameter": 1}),
        ('{"configs": [{"lr": 0.1}, {"lr" 0.2}]}', {"not_an_object": 1}),
        ('{"configs": [{"lr": 0.1}, {"lr": }]}', {"not_a_number": 1, "no_parameter": 1}),
        ('{"configs": [{"lr": 0.1}, {"x": 1}, "text"]}', {"no_parameter": 1, "not_an_object": 1}),
        ('{"configs": [{"lr": 0.1}, {"lr": Infinity}]}', {"not_finite": 1, "no_parameter": 1}),
    ],
)
def test_what_cannot_be_read_is_counted(text: str, rejected: dict[str, int]) -> None:
    advice = parse([text], RATE)
    assert [config.params["lr"] for config in advice.configs] == [0.1]
    assert advice.rejected == rejected
