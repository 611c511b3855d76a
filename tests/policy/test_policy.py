"""Positions that follow from a share and a trial's number, and how much is asked for."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from optuna_llm_sampler._policy.allocation import make_policy, position
from optuna_llm_sampler.llms import CODE, JSON


@given(st.floats(0.0, 1.0), st.integers(0, 400), st.integers(0, 99))
def test_positions_are_counted_without_a_gap_and_their_number_is_the_share(
    share: float, n: int, phase: int
) -> None:
    taken = [place for i in range(n) if (place := position(i, share, phase)) is not None]
    assert taken == list(range(len(taken)))
    assert len(taken) == pytest.approx(round(100 * share) * n / 100, abs=1)


def test_the_first_trial_of_an_advice_is_the_models_and_no_trial_without_a_share() -> None:
    assert [position(0, share) for share in (0.01, 0.5, 1.0)] == [0, 0, 0]
    assert [position(i, 0.0) for i in range(50)] == [None] * 50
    assert [position(i, 1.0) for i in range(4)] == [0, 1, 2, 3]


def test_large_models_are_asked_for_few_configurations_and_small_ones_once() -> None:
    large = make_policy(JSON, share=None, n_configs=None)
    assert (large.share, large.n_configs, large.n_first) == (None, 4, 1)
    small = make_policy(CODE, share=None, n_configs=None)
    assert (small.share, small.n_configs, small.n_first) == (0.0, 8, 5)
    assert make_policy(CODE, share=1.0, n_configs=None).n_first == 8
    assert make_policy(JSON, share=0.3, n_configs=2).share == 0.3
    assert make_policy(JSON, share=None, n_configs=8).n_first == 8  # as the user wants it


def test_a_call_asks_for_what_the_next_trials_need() -> None:
    policy = make_policy(JSON, share=None, n_configs=None)
    assert [policy.n_wanted(share, 0) for share in (0.05, 0.25, 0.5, 0.95)] == [1, 2, 4, 4]
    assert policy.n_wanted(1.0, 8) == 8  # eight workers are about to start
    assert policy.n_wanted(0.5, 8) == 4
    assert policy.n_wanted(1.0, 64) == 16
    assert make_policy(JSON, share=1.0, n_configs=32).n_wanted(1.0, 0) == 8
