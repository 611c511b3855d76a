from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

from hypothesis import given, strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler._advice.advice import Config, distinct, values
from optuna_llm_sampler._advice.first_proposals import consensus_first
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._study.distance import denormalize
from optuna_llm_sampler._study.space import coerce, Coerced, SearchSpace, to_label

from ..support.strategies import distributions


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}
REGULAR: dict[str, BaseDistribution] = {**SPACE, "dropout": FloatDistribution(0.0, 0.6)}


def rates(*values: float, kind: str = "a") -> list[Config]:
    return [Config({"lr": value, "kind": kind}) for value in values]


def samples(*dropouts: float) -> list[Config]:
    kinds = ["a", "b", "a", "a", "b"]
    return [
        Config({"lr": 10.0**-k, "kind": kinds[k], "dropout": dropout})
        for k, dropout in enumerate(dropouts)
    ]


def lr(config: Config) -> float:
    return float(config.params["lr"])


def test_what_the_samples_agree_on_and_the_middle_come_first() -> None:
    # Three of the samples say 1e-3, which is a quarter of the way up the range.
    drawn = [
        replace(config, params={**config.params, "lr": 1e-3}) for config in samples(*[0.2] * 3)
    ]
    drawn += samples(0.1, 0.5)
    off, middle, *rest = consensus_first(drawn, REGULAR, 8)
    assert off.params == {"lr": pytest.approx(1e-3 * 10**0.125), "kind": "a", "dropout": 0.0}
    assert middle.params == {"lr": pytest.approx(1e-2), "kind": "a", "dropout": 0.0}
    assert len({off.why, middle.why}) == 2
    assert {config.why for config in rest} == {"one of the model's samples"}
    assert {lr(config) for config in rest} == {lr(config) for config in drawn}


def test_the_consensus_moves_an_eighth_of_the_way_to_the_middle() -> None:
    first, middle, *rest = consensus_first(rates(1.0, 1.0, 1e-4, kind="b"), SPACE, 8)
    assert lr(first) == pytest.approx(10**-0.25)
    assert lr(middle) == pytest.approx(1e-2)
    assert sorted(map(lr, rest)) == [1e-4, 1.0]


@pytest.mark.parametrize(
    ("distribution", "said", "first", "middle"),
    [
        (FloatDistribution(1e-5, 0.1), 1e-3, 1e-3, 1e-3),  # weight decay without log
        (FloatDistribution(1e-5, 0.1), 1e-5, 1e-5 * 10**0.25, 1e-3),
        (IntDistribution(10, 100_000), 10, 18, 1_000),
        (IntDistribution(10, 1_000, step=10), 1_000, 750, 100),
        (FloatDistribution(0.1, 0.99), 0.9, 0.855625, 0.545),  # momentum
        (FloatDistribution(-1.0, 1.0), 0.8, 0.7, 0.0),
    ],
)
def test_a_positive_range_of_two_decades_is_a_logarithm(
    distribution: BaseDistribution, said: float, first: float, middle: float
) -> None:
    drawn = [Config({"x": said, "lr": 1.0})]
    made = consensus_first(drawn, {**SPACE, "x": distribution}, 2)
    assert [config.params["x"] for config in made] == pytest.approx([first, middle])


def test_a_share_that_most_samples_put_out_of_range_is_tried_at_0() -> None:
    texts = [f"dict(dropout={x}, lr=1e-3, kind='a')" for x in (4, 0.3, 5, 1)]
    drawn = parse(texts, REGULAR).configs
    off, middle, *_ = consensus_first(drawn, REGULAR, 8)
    assert off.params["dropout"] == middle.params["dropout"] == 0.0
    # With more inside, the model is taken at its word.
    inside = [text.replace("=1,", "=0.55,").replace("=4", "=0.55") for text in texts]
    first, *_ = consensus_first(parse(inside, REGULAR).configs, REGULAR, 8)
    assert first.params["dropout"] == 0.55


@pytest.mark.parametrize(
    ("distribution", "middle"),
    [
        (FloatDistribution(0.2, 1.0), pytest.approx(0.6)),
        (FloatDistribution(0.001, 1.0), pytest.approx(0.001**0.5)),
        (FloatDistribution(0.2, 1.0, step=0.2), pytest.approx(0.6)),
        (FloatDistribution(0.0, 1.0), 0.0),
    ],
)
def test_a_count_in_the_place_of_a_fraction_is_forgotten_in_every_proposal(
    distribution: BaseDistribution, middle: Any
) -> None:
    space = {**SPACE, "min_samples": distribution}
    texts = [f"dict(min_samples={x}, lr=1e-{x}, kind='a')" for x in (2, 3, 1, 4)]
    drawn = parse(texts, space).configs
    assert {config.params["min_samples"] for config in drawn} == {1.0}
    made = consensus_first(drawn, space, 8)
    assert len(made) >= 4
    assert [config.params["min_samples"] for config in made] == [middle] * len(made)


@pytest.mark.parametrize(
    ("distribution", "said", "clipped"),
    [
        (IntDistribution(1, 10), 200, 10),  # more than the user allows: as much as possible
        (FloatDistribution(0.2, 2.0), 3, 2.0),
        (FloatDistribution(0.01, 0.5, log=True), 1, 0.5),
        (FloatDistribution(0.2, 0.9), 0.1, 0.2),
    ],
)
def test_other_numbers_out_of_range_stay_at_the_bound(
    distribution: BaseDistribution, said: float, clipped: float
) -> None:
    space = {**SPACE, "x": distribution}
    drawn = parse([f"dict(x={said}, lr={lr}, kind='a')" for lr in (1e-3, 1e-1)], space).configs
    made = consensus_first(drawn, space, 8)
    assert {c.params["x"] for c in made if c.why == "one of the model's samples"} == {clipped}


def test_what_differs_most_comes_next() -> None:
    made = consensus_first(rates(1e-2, 0.2, 0.25, 1.0, 1e-4, 1e-3), SPACE, 8)
    gaps = [
        min(abs(math.log(lr(c) / lr(o))) for o in made[:k]) for k, c in enumerate(made) if k >= 2
    ]
    assert gaps == sorted(gaps, reverse=True)


def test_another_choice_differs_by_half_the_range() -> None:
    made = consensus_first([*rates(1e-2, 1.1e-2, 4e-2), *rates(1e-2, kind="b")], SPACE, 8)
    first_sample = next(c for c in made if c.why.startswith("one of"))
    assert first_sample.params["kind"] == "b"


BRANCHES: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(["a", "b"]),
    "lr_a": FloatDistribution(1e-4, 1.0, log=True),
    "lr_b": FloatDistribution(1e-4, 1.0, log=True),
    "layers": IntDistribution(1, 9),
}
BY_KIND = {"lr_a": {"kind": ("a",)}, "lr_b": {"kind": ("b",)}}


def test_each_branch_is_taken_for_itself() -> None:
    drawn = [
        Config({"kind": "b", "lr_b": 1e-4, "layers": 9}),
        Config({"kind": "a", "lr_a": 1.0, "layers": 1}),
        Config({"kind": "a", "lr_a": 0.9, "layers": 1}),
    ]
    made = consensus_first(drawn, BRANCHES, 4, conditions=BY_KIND)
    assert [c.params["kind"] for c in made] == ["b", "a", "b", "a"]
    assert [set(c.params) - {"kind", "layers"} for c in made] == [{"lr_b"}, {"lr_a"}] * 2
    assert [c.params["layers"] for c in made] == [8, 2, 5, 5]
    assert made[2].params["lr_b"] == made[3].params["lr_a"] == pytest.approx(1e-2)
    assert made[0].why == "one of the model's samples"
    assert made[1].why == "what the model's samples agree on"


def test_samples_without_their_parent_are_not_mixed() -> None:
    made = consensus_first(
        [Config({"lr_a": 1.0}), Config({"lr_b": 1.0})], BRANCHES, 8, conditions=BY_KIND
    )
    assert all(len(c.params) == 1 for c in made)


def test_many_branches_begin_with_their_middles() -> None:
    names = list("abcde")
    space: dict[str, BaseDistribution] = {"kind": CategoricalDistribution(names)}
    space |= {f"x_{name}": FloatDistribution(0, 100) for name in names}
    drawn = [Config({"kind": name, f"x_{name}": 100.0}) for name in names]
    conditions = {f"x_{name}": {"kind": (name,)} for name in names}
    made = consensus_first(drawn, space, 6, conditions=conditions)
    assert [c.params["kind"] for c in made] == [*names, "a"]
    assert [c.params[f"x_{c.params['kind']}"] for c in made] == [50] * 5 + [93.75]


def test_a_number_that_decides_about_others_does_not_move() -> None:
    space = {"layers": IntDistribution(1, 9), "width": IntDistribution(1, 9)}
    drawn = [Config({"layers": n, "width": 9}) for n in (9, 9, 2, 2, 9)] + [Config({"layers": 1})]
    conditions = {"width": {"layers": (2, 9)}}
    made = consensus_first(drawn, space, 8, conditions=conditions)
    assert {c.params["layers"] for c in made if "width" in c.params} == {2, 9}
    assert {c.params["layers"] for c in made if "width" not in c.params} == {1}


@pytest.mark.parametrize(
    ("distribution", "said", "tried"),
    [
        (FloatDistribution(0, 0.6), 0.2, (0.0, 0.0, 0.2)),  # dropout
        (FloatDistribution(0, 1), 0.8, (0.8, 0.8)),  # subsample
        (FloatDistribution(0, 10), 1.0, (1.5, 5.0)),  # a range in which 0 is a value like others
        (IntDistribution(0, 10), 2, (2, 5)),
    ],
)
def test_what_is_tried_at_0(
    distribution: BaseDistribution, said: float, tried: tuple[float, ...]
) -> None:
    space = {"x": distribution, "lr": FloatDistribution(1e-4, 1.0, log=True)}
    made = consensus_first([Config({"x": said, "lr": 1e-4})], space, len(tried))
    assert tuple(c.params["x"] for c in made) == tried
    assert ("at 0" in made[0].why) == (tried[0] == 0)


def test_what_the_study_has_is_not_made_again() -> None:
    made = consensus_first(
        samples(0.1, 0.2, 0.5), REGULAR, 8, is_duplicate=lambda p: p["dropout"] == 0
    )
    assert [c.params["dropout"] for c in made] == [0.1, 0.5, 0.2]
    assert len(consensus_first(samples(0.1, 0.2, 0.5, 0.2), REGULAR, 1)) == 1
    # The samples themselves were not known, or they would not be here.
    made = consensus_first(samples(0.1, 0.2), REGULAR, 8, is_duplicate=lambda p: True)
    assert {c.params["dropout"] for c in made} == {0.1, 0.2}


def _at(place: float, distribution: BaseDistribution) -> Any:
    """A legal value at a place of the range, as a configuration has it."""
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        value = distribution.choices[min(int(place * n), n - 1)]
    else:
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        coerced = coerce(denormalize(place, distribution), distribution)
        assert isinstance(coerced, Coerced)
        value = coerced.value
    return to_label(value, distribution)


@given(st.data())
def test_partial_samples_of_branches_stay_in_their_branch(data: st.DataObject) -> None:
    names = st.sets(st.sampled_from(["lr_a", "lr_b", "layers"]))
    kinds = data.draw(st.lists(st.tuples(st.sampled_from(["a", "b"]), names), max_size=6))
    drawn = [
        Config({"kind": kind, **{n: 1 for n in sorted(has) if n in ("layers", f"lr_{kind}")}})
        for kind, has in kinds
    ]
    shapes = {frozenset(config.params) for config in drawn}
    for config in consensus_first([*drawn, Config({})], BRANCHES, 8, conditions=BY_KIND):
        assert frozenset(config.params) in shapes | {frozenset()}
        assert set(config.params) <= {"kind", "layers", f"lr_{config.params.get('kind')}"}


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
    made = consensus_first(configs, space, 8)
    for config in made:
        point = values(config, space)
        assert set(point) == set(space)
        assert all(d._contains(d.to_internal_repr(point[n])) for n, d in space.items())
    assert len(distinct(made, space)) == len(made)
