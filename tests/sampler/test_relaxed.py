from __future__ import annotations

import json
from typing import Any

from hypothesis import given, strategies as st
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler import DefaultBaseSampler
from optuna_llm_sampler._sampler.gp_study import relaxed, rounded

from ..support.strategies import ints


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(0, 1),
        FloatDistribution(0, 1, step=0.1),
        CategoricalDistribution(range(30)),
        IntDistribution(1, 16),
        IntDistribution(0, 300, step=20),
    ],
)
def test_what_is_no_long_range_of_steps_stays(distribution: BaseDistribution) -> None:
    assert relaxed({"x": distribution}) == {"x": distribution}


def test_bounds_lie_where_optuna_puts_those_of_an_integer() -> None:
    # optuna/_gp/search_space.py, _normalize_one_param: half a step outside.
    assert relaxed({"x": IntDistribution(4, 256, log=True)}) == {
        "x": FloatDistribution(3.5, 256.5, log=True)
    }
    assert relaxed({"x": IntDistribution(0, 400, step=20)}) == {"x": FloatDistribution(-10, 410)}


@given(ints(), st.floats(0, 1))
def test_every_float_becomes_a_value_of_the_space(distribution: IntDistribution, u: float) -> None:
    wide: Any = relaxed({"x": distribution})["x"]
    value = rounded({"x": wide.low + u * (wide.high - wide.low)}, {"x": distribution})["x"]
    assert isinstance(value, int)
    assert distribution._contains(distribution.to_internal_repr(value))


@given(ints())
def test_a_value_of_the_space_is_its_own_float(distribution: IntDistribution) -> None:
    for value in (distribution.low, distribution.high):
        assert rounded({"x": float(value)}, {"x": distribution}) == {"x": value}


def test_the_default_base_sampler_gives_the_gp_floats_and_the_trial_integers() -> None:
    pytest.importorskip("torch")
    study = optuna.create_study(sampler=DefaultBaseSampler(seed=0))
    study.optimize(
        lambda trial: abs(trial.suggest_int("width", 16, 1024, log=True) - 300), n_trials=8
    )
    last = study.trials[-1]
    published = json.loads(last.system_attrs["gp:relative_params:0"])["width"]
    assert isinstance(published, float)
    assert last.params["width"] == round(published)
    assert all(type(trial.params["width"]) is int for trial in study.trials)
