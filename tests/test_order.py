from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_llm_sampler._advice import Config
from optuna_llm_sampler._advice import values
from optuna_llm_sampler._order import agreed_first
from optuna_llm_sampler._order import typical_first
from optuna_llm_sampler._prior import at_unit
from optuna_llm_sampler._space import coerce
from optuna_llm_sampler._space import Coerced
from optuna_llm_sampler._space import locate
from optuna_llm_sampler._space import SearchSpace
from optuna_llm_sampler._space import to_label

from .strategies import distributions


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}
REGULAR: dict[str, BaseDistribution] = {**SPACE, "dropout": FloatDistribution(0.0, 0.6)}


def rates(*values: float, kind: str = "a") -> list[Config]:
    return [Config({"lr": value, "kind": kind}) for value in values]


def test_the_most_typical_comes_first_then_what_differs_most() -> None:
    ordered = typical_first(rates(0.5, 1e-4, 2e-2, 1e-2, 4e-3), SPACE)
    assert [config.params["lr"] for config in ordered] == [1e-2, 1e-4, 0.5, 4e-3, 2e-2]


def test_another_choice_differs_by_half_the_range() -> None:
    configs = [*rates(1e-2, 1.1e-2, 4e-2), *rates(1e-2, kind="b")]
    assert typical_first(configs, SPACE)[1] is configs[3]


@pytest.mark.parametrize("order", [typical_first, lambda c, s: agreed_first(c, s, 8)])
def test_nothing_is_lost_and_few_keep_their_order(order: Any) -> None:
    two = rates(1.0, 1e-4)
    assert order(two, SPACE) == tuple(two)
    partial = [*rates(1e-2, 1e-3), Config({"kind": "b"}), Config({})]
    assert set(map(id, partial)) <= set(map(id, order(partial, SPACE)))


def samples(*dropouts: float) -> list[Config]:
    kinds = ["a", "b", "a", "a", "b"]
    return [
        Config({"lr": 10.0**-k, "kind": kinds[k], "dropout": dropout})
        for k, dropout in enumerate(dropouts)
    ]


def test_what_the_samples_agree_on_comes_first_with_and_without_what_may_be_0() -> None:
    first, second, *rest = agreed_first(samples(0.1, 0.2, 0.5, 0.2, 0.3), REGULAR, 8)
    assert first.params == {"lr": pytest.approx(1e-2), "kind": "a", "dropout": 0.2}
    assert second.params == {**first.params, "dropout": 0.0}
    assert first.why
    assert second.why
    assert len(rest) == 5
    assert not any(config.why for config in rest)


def test_without_a_parameter_that_may_be_0_there_is_one_more_only() -> None:
    made = agreed_first(rates(1.0, 1e-2, 1e-3, kind="b"), SPACE, 8)
    # The middle one of the samples is what they agree on.
    assert [c.params["lr"] for c in made] == [pytest.approx(1e-2), 1.0, 1e-3]


def test_what_the_study_has_is_not_made_again() -> None:
    made = agreed_first(
        samples(0.1, 0.2, 0.5, 0.2, 0.3), REGULAR, 8, known=lambda p: p["dropout"] == 0
    )
    assert [c.params["dropout"] for c in made if c.why] == [0.2]
    assert len(agreed_first(samples(0.1, 0.2, 0.5, 0.2), REGULAR, 1)) == 1


def _at(place: float, distribution: BaseDistribution) -> Any:
    """A legal value at a place of the range, as a configuration has it."""
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        value = distribution.choices[min(int(place * n), n - 1)]
    else:
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        coerced = coerce(at_unit(place, distribution), distribution)
        assert isinstance(coerced, Coerced)
        value = coerced.value
    return to_label(value, distribution)


@given(st.data())
def test_made_configurations_are_legal_and_no_two_are_the_same(data: st.DataObject) -> None:
    space: SearchSpace = data.draw(
        st.dictionaries(st.sampled_from("abc"), distributions(), min_size=1)
    )
    places = st.lists(st.floats(0, 1), min_size=3, max_size=3)
    configs = [
        Config({n: _at(u, d) for u, (n, d) in zip(row, space.items(), strict=False)})
        for row in data.draw(st.lists(places, min_size=3, max_size=6))
    ]
    made = agreed_first(configs, space, 8)
    for config in made:
        point = values(config, space)
        assert set(point) == set(space)
        assert all(d._contains(d.to_internal_repr(point[n])) for n, d in space.items())
    fresh = [locate(values(c, space), space) for c in made if c.why]
    assert len(fresh) == len(set(fresh))
