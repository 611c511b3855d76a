"""Bounds as people phrase them, in several languages, and numbers that are no bounds."""

from __future__ import annotations

import math
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
import pytest

from optuna_llm_sampler._proposal.fact import Fact
from optuna_llm_sampler._proposal.stated import read_stated
from optuna_llm_sampler._proposal.subjects import names_meant
from optuna_llm_sampler.errors import ContradictionError, UnusableAnswerError

from ..support.proposals import item, proposed


NAMES = (
    "learning_rate",
    "batch_size",
    "num_epochs",
    "n_layers",
    "dropout",
    "n_estimators",
    "max_depth",
    "subsample",
    "weight_decay",
    "hash_features",
    "warmup_steps",
    "extreme_rating_weight",
)
INF = math.inf


def ends(fact: Fact) -> tuple[float, float]:
    low, high = max(fact.low, fact.above), min(fact.high, fact.below)
    factor = 0.01 if fact.percent else 1.0
    return pytest.approx(low * factor), pytest.approx(high * factor)  # type: ignore[return-value]


def tied(words: str) -> list[tuple[str, tuple[float, float]]]:
    """Return what the words fix about one of the names."""
    facts = read_stated(words).facts
    return [(name, ends(fact)) for fact in facts for name in names_meant(fact, NAMES)]


@pytest.mark.parametrize(
    ("words", "name", "low", "high"),
    [
        # percent
        ("sample between 60 and 90 percent of the rows (subsample)", None, 0.6, 0.9),
        ("subsample 60 to 90 per cent", "subsample", 0.6, 0.9),
        ("dropout no more than 30 pct", "dropout", -INF, 0.3),
        ("Dropout zwischen 10 und 40 Prozent", "dropout", 0.1, 0.4),
        ("un dropout d'au plus 25 pour cent", "dropout", -INF, 0.25),
        ("dropout de al menos 5 por ciento", "dropout", 0.05, INF),
        # powers and factors
        ("hash features from 2^16 to 2^20", "hash_features", 65536, 1048576),
        ("hash features between 2**10 and 2**14", "hash_features", 1024, 16384),
        ("2⁸ to 2¹² hash features", "hash_features", 256, 4096),
        ("a learning rate from 10⁻⁵ to 10⁻³", "learning_rate", 1e-5, 1e-3),
        ("learning rate 2^-15 to 2^-5", "learning_rate", 2.0**-15, 2.0**-5),
        ("at most 2 million hash features", "hash_features", -INF, 2e6),
        ("between 1 thousand and 5 thousand trees", "n_estimators", 1000, 5000),
        ("最多2万棵, 树的数量 n_estimators", None, -INF, 20000),
        # what is counted stands inside
        ("trees of 12 levels or deeper", "max_depth", 12, INF),
        ("trees should be 8 levels deep or deeper", "max_depth", 8, INF),
        ("3 layers or more", "n_layers", 3, INF),
        ("5 epochs or fewer", "num_epochs", -INF, 5),
        ("10 Epochen oder weniger", "num_epochs", -INF, 10),
        ("2 couches ou plus", "n_layers", 2, INF),
        # or equal to
        ("the batch size must stay under or equal to 256", "batch_size", -INF, 256),
        ("a depth less than or equal to 9", "max_depth", -INF, 9),
        ("batch size greater than or equal to 16", "batch_size", 16, INF),
        # after the number
        ("dropout 0.4 max", "dropout", -INF, 0.4),
        ("dropout of 0.4 at most, please", "dropout", -INF, 0.4),
        ("200 trees at the very least", None, None, None),
        ("200 trees at least", "n_estimators", 200, INF),
        ("un dropout de 0,3 maximum", "dropout", -INF, 0.3),
        ("die Batchgröße darf 64 nicht überschreiten", "batch_size", -INF, 64),
        # from … up to
        ("weight decay from 0.0001 up to 0.1", "weight_decay", 0.0001, 0.1),
        ("Lernrate von 1e-5 bis zu 1e-3", "learning_rate", 1e-5, 1e-3),
        # negated, in other languages
        ("nicht mehr als 6 Schichten", "n_layers", -INF, 6),
        ("nicht weniger als 3 Epochen", "num_epochs", 3, INF),
        ("pas plus de 20 époques", "num_epochs", -INF, 20),
        ("une profondeur supérieure ou égale à 4", "max_depth", 4, INF),
        ("no más de 8 capas", "n_layers", -INF, 8),
        ("una profundidad no superior a 12", "max_depth", -INF, 12),
        ("non più di 15 epoche", "num_epochs", -INF, 15),
        ("não mais de 300 árvores", "n_estimators", -INF, 300),
        ("не меньше 2 слоёв", "n_layers", 2, INF),
        ("学习率不能超过1e-3", "learning_rate", -INF, 1e-3),
        ("批量大小不得少于8", "batch_size", 8, INF),
        ("バッチサイズは64以下", "batch_size", -INF, 64),
        ("エポック数は20未満", "num_epochs", -INF, 20),
        # two bounds in two clauses
        ("a learning rate that is at most 1e-3", "learning_rate", -INF, 1e-3),
        ("warmup steps which should not go past 500", "warmup_steps", -INF, 500),
        ("no more then 12 layers", "n_layers", -INF, 12),
        ("ResNet-50 with a learning rate from 1e-4 to 1e-2", "learning_rate", 1e-4, 1e-2),
        ("ResNet 50 learning rate from 1e-4 to 1e-2", "learning_rate", 1e-4, 1e-2),
        # a negation further ahead
        ("I'd rather not see more than 8 layers", "n_layers", -INF, 8),
        ("don't let the depth exceed 8", "max_depth", -INF, 8),
        ("never use fewer than 2 layers", "n_layers", 2, INF),
        ("ich will nicht so gern mehr als 8 Schichten", "n_layers", -INF, 8),
        ("the depth must exceed 3", "max_depth", 3, INF),
        ("not sure about dropout, but more than 2 layers", "n_layers", 2, INF),
    ],
)
def test_a_bound_is_read(words: str, name: str | None, low: Any, high: Any) -> None:
    if low is None:
        assert tied(words) == []
    elif name is None:
        assert [ends(fact) for fact in read_stated(words).facts] == [(low, high)]
    else:
        assert tied(words) == [(name, (low, high))]


@pytest.mark.parametrize(
    "words",
    [
        "a learning rate such that we get at least 90 % accuracy",
        "batch size 32 took 10 to 12 minutes",
        "we trained for 3 epochs on 2 to 4 GPUs",
        "last year the learning rate was 3e-4, and accuracy rose from 0.81 to 0.85",
        "train for some epochs until the loss is below 0.1",
        "choose the number of layers so that latency stays under 20 ms",
        "dropout helps if there are fewer than 1000 rows",
        "Python 3.10 or newer, batch size as you like",
        "a batch size of around 128",
        "there are 4500 ratings from 1 to 5 stars, layers as you like",
        "10 Epochen auf 2 bis 4 Karten",
        "Tiefe beliebig, die Genauigkeit liegt bei mehr als 90 Prozent",
        "le taux d'apprentissage était bon parce que la perte est inférieure à 0,2",
        "la tasa de aprendizaje es libre; hay más de 1000 filas",
        "学习率随意，数据超过1000行",
        "200 trees and more data than last year",
        "the learning rate is averaged over 140 days",
        "die Lernrate sinkt über 30 Tage",
        "lr 0.001 max depth free",
    ],
)
def test_a_number_about_something_else_is_no_bound(words: str) -> None:
    assert tied(words) == []


@pytest.mark.parametrize(
    ("words", "n"),
    [
        ("tune four parameters at most", 4),
        ("Bitte nicht mehr als 6 Parameter", 6),
        ("pas plus de 5 hyperparamètres", 5),
        ("no más de tres parámetros", 3),
    ],
)
def test_the_number_of_parameters_is_read(words: str, n: int) -> None:
    stated = read_stated(words)
    assert (stated.max_params, stated.facts) == (n, ())


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        ("work_mem at most 4 GB", "work_mem_mb", (None, 4096)),
        ("work_mem at least 8 MB and at most 1 GB", "work_mem_mb", (8, 1024)),
        ("work_mem at least 8 MB and at most 1 GB", "work_mem_kb", (8192, 1048576)),
        ("shared_buffers between 8 and 24 gigabytes", "shared_buffers_mb", (8192, 24576)),
        ("timeout of at most 30 seconds", "timeout_ms", (None, 30000)),
        ("ein timeout von mindestens 2 Minuten", "timeout_s", (120, None)),
        ("timeout not above 500 ms", "timeout_ms", (None, 500)),
    ],
)
def test_limits_are_written_in_the_unit_of_the_name(
    words: str, name: str, expected: tuple[int | None, int | None]
) -> None:
    found = proposed(words, item(name, "int", low=1, high=10**7)).space[name]
    assert isinstance(found, IntDistribution)
    assert found.low == (expected[0] or 1)
    assert found.high == (expected[1] or 10**7)


def test_limits_in_another_kind_of_unit_are_refused() -> None:
    with pytest.raises(UnusableAnswerError, match="the words give its limits in gb"):
        proposed("cache at most 4 GB", item("cache_ms", "int", low=1, high=10))


@pytest.mark.parametrize("names", [("alpha_over_rank",), ("rank_ratio", "log2_rank")])
def test_a_limit_is_not_that_of_a_ratio_or_of_a_logarithm(names: tuple[str, ...]) -> None:
    facts = read_stated("rank at least 8 but not above 64").facts
    assert [names_meant(fact, names) for fact in facts] == [[], []]
    assert names_meant(facts[0], ["lora_rank", *names]) == ["lora_rank"]


@pytest.mark.parametrize(
    ("words", "given", "expected"),
    [
        ("dropout at least 0.3", item("dropout", low=0, high=6), (0.3, 1.0)),
        ("dropout at least 1", item("dropout", low=0, high=0.5), (1.0, 1.0)),
        ("at most 20 percent dropout", item("dropout", low=-1, high=0.5), (0.0, 0.2)),
        ("a feature fraction above 0.5", item("feature_fraction", low=0.6, high=5), (0.6, 1.0)),
    ],
)
def test_open_ends_stay_within_what_is_possible(
    words: str, given: Any, expected: tuple[float, float]
) -> None:
    (found,) = proposed(words, given).space.values()
    assert isinstance(found, FloatDistribution)
    assert (found.low, found.high) == expected


def test_a_contradiction_about_what_is_counted_is_named() -> None:
    words = "Trees should be 12 levels deep or deeper. The max depth must never be greater than 6."
    with pytest.raises(ContradictionError, match="12 levels deep or deeper"):
        read_stated(words)
