"""What a task in words fixes, read without a model."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, strategies as st
import pytest

from optuna_llm_sampler._proposal.stated import facts_as_text, read_stated
from optuna_llm_sampler._proposal.subjects import names_meant
from optuna_llm_sampler.errors import ContradictionError

from ..support.proposals import SENTENCE


NAMES = ["learning_rate", "batch_size", "num_epochs", "n_layers", "dropout", "n_estimators"]


def bounds(task: str) -> dict[str, str]:
    """Return each limit in words, by the name it belongs to or "?"."""
    facts = read_stated(task).facts
    texts = facts_as_text(facts).values()
    return {
        ", ".join(names_meant(f, [*NAMES, "optimizer", "C"])) or "?": text
        for f, text in zip(facts, texts, strict=True)
    }


def test_the_sentence_of_the_readme() -> None:
    assert bounds(SENTENCE) == {
        "learning_rate": "at least 5e-06, at most 0.0001",
        "batch_size": "at least 32",
    }
    assert read_stated(SENTENCE).unread == ()


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("lr in [1e-5, 1e-3]", {"learning_rate": "at least 1e-05, at most 0.001"}),
        ("learning rate: 1e-5..1e-3", {"learning_rate": "at least 1e-05, at most 0.001"}),
        (
            "5 × 10^-6 to 10^-4 for the learning rate",
            {"learning_rate": "at least 5e-06, at most 0.0001"},
        ),
        ("0.1 <= dropout < 0.5", {"dropout": "at least 0.1, less than 0.5"}),
        ("two, three or four layers", {"n_layers": "one of 2, 3, 4"}),
        ("n_layers: one, two, or 4", {"n_layers": "one of 1, 2, 4"}),
        ("zwei oder drei Schichten", {"n_layers": "one of 2, 3"}),
        ("stop after at most 30 epochs", {"num_epochs": "at most 30"}),
        (
            "at most 9 epochs; no improvement so far, so use at least 3 layers",
            {"num_epochs": "at most 9", "n_layers": "at least 3"},
        ),
        ("use 3-5 layers", {"n_layers": "at least 3, at most 5"}),
        ("between 100 and 1,000 trees", {"n_estimators": "at least 100, at most 1000"}),
        ("up to 1k trees", {"n_estimators": "at most 1000"}),
        ("dropout from 10% to 50%", {"dropout": "at least 10 %, at most 50 %"}),
        ("Llama-3-8B: at least three layers", {"n_layers": "at least 3"}),
        ("two to four layers", {"n_layers": "at least 2, at most 4"}),
        ("between 2 and four layers of 64 units", {"n_layers": "at least 2, at most 4"}),
        ("the batch size must not exceed 64", {"batch_size": "at most 64"}),
        ("30 epochs at most", {"num_epochs": "at most 30"}),
        ("dropout never below 0.1", {"dropout": "at least 0.1"}),
        ("dropout shouldnt go over 0.3", {"dropout": "at most 0.3"}),
        ("the batch size can't be under 16", {"batch_size": "at least 16"}),
        ("an amount above 0.4 of dropout", {"dropout": "more than 0.4"}),
        ("a batch size of 16, 32 or 64", {"batch_size": "one of 16, 32, 64"}),
        (
            "optimizer one of adam, sgd; n_layers >= 2",
            {"optimizer": "one of adam, sgd", "n_layers": "at least 2"},
        ),
        (
            "from 1 to 3 hidden layers of size 32 to 256",
            {"n_layers": "at least 1, at most 3", "?": "at least 32, at most 256"},
        ),
        ("dropout below 0.3", {"dropout": "less than 0.3"}),
        ("more than 2 layers", {"n_layers": "more than 2"}),
        ("32 or more as the batch size", {"batch_size": "at least 32"}),
        ("a batch size of exactly 64", {"batch_size": "at least 64, at most 64"}),
        ("batch size one of 16, 32 or 64", {"batch_size": "one of 16, 32, 64"}),
        ("optimizer one of adam, sgd and a dropout", {"optimizer": "one of adam, sgd"}),
        (
            "the optimizer in {adam, sgd}, 3 to 4 layers",
            {"optimizer": "one of adam, sgd", "n_layers": "at least 3, at most 4"},
        ),
        ("C from 0.01 to 1000", {"C": "at least 0.01, at most 1000"}),
        (
            "Lernrate zwischen 0,0001 und 0,01, mindestens 3 Schichten",
            {"learning_rate": "at least 0.0001, at most 0.01", "n_layers": "at least 3"},
        ),
        (
            "taux d'apprentissage entre 1e-5 et 1e-3, au plus 10 époques",
            {"learning_rate": "at least 1e-05, at most 0.001", "num_epochs": "at most 10"},
        ),
        (
            "tasa de aprendizaje entre 1e-5 y 1e-3",
            {"learning_rate": "at least 1e-05, at most 0.001"},
        ),
        (
            "скорость обучения от 1e-5 до 1e-3, не менее 2 эпох",
            {"learning_rate": "at least 1e-05, at most 0.001", "num_epochs": "at least 2"},
        ),
        (
            "学习率在1e-5到1e-3之间，批量大小至少１６",
            {"learning_rate": "at least 1e-05, at most 0.001", "batch_size": "at least 16"},
        ),
        (
            "学習率は1e-5から1e-3、バッチサイズは16以上",
            {"learning_rate": "at least 1e-05, at most 0.001", "batch_size": "at least 16"},
        ),
        ("a batch size between ٣٢ and ٦٤", {"batch_size": "at least 32, at most 64"}),
    ],
)
def test_limits_in_many_forms_and_languages(task: str, expected: dict[str, str]) -> None:
    assert bounds(task) == expected


@pytest.mark.parametrize(
    "task",
    [
        "XGBoost on 40,000 rows with 5 folds, ResNet50, gpt-2 and a GPU of 80 GB",
        "one of the most important tasks of the year",
        "a buffer of 10 to 50k",  # 10 or 10,000?
        "10 ms to 4 GB",
        "batch size of 16,32 or 64",
        "one or two of the layers",
        # How long to wait is no limit of the epochs.
        "stop if no improvement for more than 5 epochs",
        "stop when the loss has not improved in the last 5 or more epochs",
        "it doesn't improve for at least 5 epochs",
        "early stopping after at least 5 epochs without any improvement",
        "Abbruch, wenn keine Verbesserung für mehr als 5 Epochen",
        "pas d'amélioration pendant plus de 5 époques",
        "",
    ],
)
def test_what_is_unclear_is_no_limit(task: str) -> None:
    assert read_stated(task).facts == ()


@pytest.mark.parametrize(
    ("task", "low", "high", "unit"),
    [
        ("work_mem between 512 MB and 4 GB", 512, 4096, "mb"),
        ("512 MB to 4 GB of memory", 512, 4096, "mb"),
        ("a timeout from 500 ms to 2 s", 500, 2000, "ms"),
        ("10 to 50 GB of memory", 10, 50, "gb"),
    ],
)
def test_the_ends_of_a_range_may_be_in_different_units(
    task: str, low: float, high: float, unit: str
) -> None:
    [fact] = read_stated(task).facts
    assert (fact.low, fact.high, fact.unit) == (low, high, unit)


def test_numbers_that_are_no_limits_are_named() -> None:
    assert read_stated("on 40,000 rows, dropout up to 0.5, seed 7").unread == ("40,000 rows", "7")


@pytest.mark.parametrize(
    ("task", "n"),
    [
        ("at most three parameters", 3),
        ("tune only 2 hyperparameters", 2),
        ("höchstens vier Parameter", 4),
        ("au plus trois hyperparamètres", 3),
        ("最多３个超参数", 3),
        ("three parameters matter", None),
    ],
)
def test_the_largest_number_of_parameters(task: str, n: int | None) -> None:
    stated = read_stated(task)
    assert stated.max_params == n
    assert stated.facts == ()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("a batch size of at least 64 but at most 32", "'at least 64' and 'at most 32'"),
        ("a depth of at least 20, and not deeper than 10", "'not deeper than 10'"),
        ("at least 10 layers, no more than 5 layers", "'at least 10' and 'no more than 5'"),
        ("optimizer one of adam, sgd; optimizer one of lion, lamb", "contradict"),
        ("dropout between 1.2 and 1.5", "dropout goes from 0 to 1"),
        ("a learning rate from -0.1 to -0.01", "learning rate goes above 0 upwards"),
        ("at most 0 parameters", "no parameter"),
    ],
)
def test_contradictions_are_named(task: str, words: str) -> None:
    with pytest.raises(ContradictionError) as info:
        read_stated(task)
    assert words in str(info.value)


@given(st.text(alphabet="0123456789.,-eE+ %kM<>=[]{}()|orandtbewnlmsx\"'至少从", max_size=200))
def test_any_text_is_read(text: str) -> None:
    try:
        read_stated(text)
    except ContradictionError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "part",
    ["1", "[", "{a,", "one of ", "1,", "10^", "at least ", "a<", "1 <= a ", "-", "e1", "１"],
)
def test_long_texts_take_no_time(part: Any) -> None:
    begin = time.process_time()
    try:
        read_stated(part * 20_000)
    except ContradictionError:
        pass
    assert time.process_time() - begin < 5
