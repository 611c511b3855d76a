from __future__ import annotations

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution

from optuna_llm_sampler._advice import Config
from optuna_llm_sampler._order import typical_first


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}


def rates(*values: float, kind: str = "a") -> list[Config]:
    return [Config({"lr": value, "kind": kind}) for value in values]


def test_the_most_typical_comes_first_then_what_differs_most() -> None:
    ordered = typical_first(rates(0.5, 1e-4, 2e-2, 1e-2, 4e-3), SPACE)
    assert [config.params["lr"] for config in ordered] == [1e-2, 1e-4, 0.5, 4e-3, 2e-2]


def test_another_choice_differs_by_half_the_range() -> None:
    configs = [*rates(1e-2, 1.1e-2, 4e-2), *rates(1e-2, kind="b")]
    assert typical_first(configs, SPACE)[1] is configs[3]


def test_nothing_is_lost_and_few_keep_their_order() -> None:
    two = rates(1.0, 1e-4)
    assert typical_first(two, SPACE) == tuple(two)
    partial = [*rates(1e-2, 1e-3), Config({"kind": "b"}), Config({})]
    assert sorted(map(id, typical_first(partial, SPACE))) == sorted(map(id, partial))
