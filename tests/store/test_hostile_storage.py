"""Another worker may be broken, malicious or of another version: what it stores is data."""

from __future__ import annotations

from collections.abc import Iterator
import time
from typing import Any

from hypothesis import given, strategies as st
import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study
import pytest

from optuna_llm_sampler import LLMSampler, usage
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler._study import keys as _keys

from ..support.fakes import fake
from ..support.mixed import objective, POINT, SPACE
from ..support.strategies import json_values


RECORD: dict[str, Any] = {
    "v": _keys.VERSION,
    "trial": 0,
    "block": 0,
    "start": 1,
    "ticket": 0,
    "outcome": "ok",
    "retryable": True,
    "call": {
        "model": "m",
        "seconds": 1.0,
        "requests": 1,
        "input_tokens": 1,
        "output_tokens": None,
        "cached_tokens": None,
    },
    "advice": {
        "configs": [[POINT, "why", 0]],
        "note": "",
        "n_ideas": 1,
        "repaired": {},
        "rejected": {},
    },
}
CLAIM: dict[str, Any] = {
    "v": _keys.VERSION,
    "trial": 0,
    "block": 0,
    "ticket": 0,
    "asking": True,
    "at": time.time(),
    "lease": 5.0,
}
ODD: list[Any] = [None, True, -1, 10**400, 1.5, float("inf"), float("nan"), "", "x", [], [1], {}]


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def study_with(key: str, value: Any) -> Study:
    """A study whose first trial is another worker's, with something in a place of ours."""
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, key, value)
    return study


def look(key: str, value: Any) -> str | None:
    """Read all that there is to read; return what went wrong."""
    study = study_with(key, value)
    try:
        AdviceStore.of(study).read()
        usage(study)
    except Exception as error:
        return f"{key}: {value!r:.300} → {error!r}"
    return None


def changed(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every part replaced by something odd, and left out."""
    for name, part in whole.items():
        yield {key: value for key, value in whole.items() if key != name}
        inner = changed(part) if isinstance(part, dict) else iter(())
        for odd in [*ODD, *inner]:
            yield {**whole, name: odd}


def test_what_is_right_is_read() -> None:
    study = study_with(f"{_keys.RECORD}0", RECORD)
    assert len(AdviceStore.of(study).read().records) == 1
    assert usage(study).input_tokens == 1


@given(json_values() | st.just({"lr": [0.01, 0.001, 0.1, 0.5], "act": {"relu": 1.0}}))
def test_the_prior_in_a_record_of_an_earlier_version_is_ignored(prior: Any) -> None:
    advices = []
    for advice in (RECORD["advice"], {**RECORD["advice"], "prior": prior}):
        study = study_with(f"{_keys.RECORD}0", {**RECORD, "advice": advice})
        advices += [record.advice for record in AdviceStore.of(study).read().records]
    assert len(advices) == 2
    assert advices[0] == advices[1]


def test_nothing_in_the_storage_breaks_the_store() -> None:
    marks = [(f"{_keys.RECORD}0", change) for change in changed(RECORD)]
    marks += [(_keys.CLAIM, change) for change in changed(CLAIM)]
    assert [wrong for key, value in marks if (wrong := look(key, value))] == []


@given(st.sampled_from([f"{_keys.RECORD}0", _keys.CLAIM, f"{_keys.RECORD}x"]), json_values())
def test_what_is_of_no_form_at_all_is_passed_over(key: str, value: Any) -> None:
    assert look(key, value) is None


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (f"{_keys.RECORD}0", {"block": 10**12, "start": 0}),
        (f"{_keys.RECORD}0", {"start": 10**18}),
        (f"{_keys.RECORD}0", {"share": 10**18, "phase": -5}),
        (f"{_keys.RECORD}0", {"start": -(10**18)}),
        (_keys.CLAIM, {"lease": 1e18}),
        (_keys.CLAIM, {"ticket": -5, "at": 1e308}),
        (_keys.CLAIM, {"block": 10**18, "ticket": 10**18}),
    ],
)
def test_absurd_numbers_cost_no_time_and_no_trial(key: str, change: dict[str, Any]) -> None:
    study = study_with(key, {**(CLAIM if key == _keys.CLAIM else RECORD), **change})
    base = RandomSampler(seed=0)
    study.sampler = LLMSampler(fake(), search_space=SPACE, base_sampler=base, timeout=0.3, seed=0)
    begin = time.monotonic()
    study.optimize(objective, n_trials=3)
    assert time.monotonic() - begin < 3
    assert all(trial.values for trial in study.trials[1:])
