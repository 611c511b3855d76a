from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from optuna_llm_sampler._policy import N_FIRST
from optuna_llm_sampler._policy import Schedule


def model_trials(share: float, n: int, n_configs: int = 8) -> list[int]:
    schedule = Schedule(share=share, n_configs=n_configs)
    return [i for i in range(n) if schedule.place(i).slot is not None]


def test_first_proposals_then_a_decaying_share() -> None:
    mine = model_trials(0.2, 1000)
    assert mine[:N_FIRST] == list(range(N_FIRST))
    assert 0.05 <= sum(i < 100 for i in mine[N_FIRST:]) / 95 <= 0.2
    assert sum(i >= 500 for i in mine) == pytest.approx(0.05 * 500, abs=1)


def test_no_share_only_first_proposals_and_full_share_all() -> None:
    assert model_trials(0.0, 100) == list(range(N_FIRST))
    assert model_trials(1.0, 100) == list(range(100))


def test_few_calls() -> None:
    schedule = Schedule(share=0.2, n_configs=8)
    assert schedule.place(99).block + 1 <= 5


def test_a_turn_is_seen_ahead_but_not_long_ahead() -> None:
    schedule = Schedule(share=0.01, n_configs=8)
    turns = [i for i in range(N_FIRST, 2_000) if schedule.place(i).slot is not None]
    assert len(turns) == 19
    assert schedule.place(turns[0]).block >= 2  # the blocks before it hand out nothing
    for i in range(N_FIRST, 1_900):
        block = schedule.place(i).block
        soon = [t for t in turns if i <= t < i + 100 and schedule.place(t).block == block]
        assert schedule.has_turn(block, i) == bool(soon)


@given(st.floats(0.01, 1), st.integers(1, 64), st.integers(0, 2000))
def test_a_slot_is_used_once_and_exists(share: float, n_configs: int, n: int) -> None:
    schedule = Schedule(share=share, n_configs=n_configs)
    schedule.place(n)  # looking ahead changes nothing
    places = [schedule.place(i) for i in range(n)]
    taken = [(p.block, p.slot) for p in places if p.slot is not None]
    assert len(set(taken)) == len(taken)
    assert all(slot is not None and slot < n_configs for _, slot in taken)
    blocks = [p.block for p in places]
    assert blocks == sorted(blocks)
    again = Schedule(share=share, n_configs=n_configs)
    assert places == [again.place(i) for i in range(n)]
