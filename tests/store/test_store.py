"""The protocol between workers, played step by step on an in-memory storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from typing import Any

from hypothesis import given, strategies as st
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import create_trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._advice.advice import Advice, Config
from optuna_llm_sampler._advice.call import Call
from optuna_llm_sampler._policy.allocation import Plan, Policy
from optuna_llm_sampler._store import background_call
from optuna_llm_sampler._store.records import AdviceRecord, Claim, to_attribute
from optuna_llm_sampler._store.store import AdviceStore, Running, Snapshot
from optuna_llm_sampler._study import keys as _keys
from optuna_llm_sampler._study.history import History
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1000)}


def advice(n: int, first: float = 0.0) -> Advice:
    return Advice(tuple(Config({"x": first + 20.0 * i}, "why") for i in range(n)), n_ideas=n)


def store_of(study: Study) -> AdviceStore:
    return AdviceStore.of(study)


def objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1000)


def sampler(handler: Callable[[Request], str], **arguments: Any) -> LLMSampler:
    defaults: dict[str, Any] = {
        "base_sampler": RandomSampler(),
        "search_space": SPACE,
        "n_configs": 4,
    }
    return LLMSampler(FakeLLM(handler), **{**defaults, **arguments})


def numbers(request: Request) -> str:
    return json.dumps({"configs": [{"x": 20.0 * i} for i in range(8)]})


def sources(study: Study) -> list[str]:
    return [str(t.user_attrs.get("llm_source")) for t in study.trials]


def call_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("optuna-llm-sampler")]


# --- whose configuration --------------------------------------------------------------------


_FINISHED = [create_trial(value=0.0) for _ in range(60)]


def snapshot_of(
    records: list[AdviceRecord], running: list[Running] | None = None, n: int = 0
) -> Snapshot:
    history = History([optuna.study.StudyDirection.MINIMIZE])
    return Snapshot(_FINISHED[:n], records, [], running or [], frozenset(), history)


@given(
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0, None]),
    records=st.lists(
        st.tuples(
            st.integers(0, 6),
            st.integers(0, 40),
            st.integers(0, 40),
            st.integers(0, 9),
            st.sampled_from([0.05, 0.33, 0.5, 0.77, 1.0]),
            st.integers(0, 99),
        ),
        max_size=8,
    ),
)
def test_no_configuration_belongs_to_two_trials(
    share: float | None, records: list[tuple[int, int, int, int, float, int]]
) -> None:
    """Whatever lies in the storage, and however much of it a trial sees."""
    made = [
        AdviceRecord(trial, block, start, part, phase, asked_on=trial, advice=advice(n))
        for trial, (block, start, _, n, part, phase) in enumerate(records)
    ]
    taken: dict[str, int] = {}
    for number in range(60):
        seen = [record for record, row in zip(made, records, strict=True) if row[2] < number]
        assignment = Plan(Policy(share, 4, 4), snapshot_of(seen, n=60)).turn(number).assignment
        if assignment is not None:
            assert assignment.record.start <= number
            assert taken.setdefault(str(assignment), number) == number


def test_an_advice_begins_with_the_first_that_waits_else_with_the_next() -> None:
    policy = Policy(1.0, 4, 4)
    claim = Claim(9, 1, 9, True, 0.0, 20.0)
    asked = AdviceRecord(9, 1, asked_on=9, advice=advice(4))
    earlier = AdviceRecord(2, 0, start=2, asked_on=2, advice=advice(4))
    plan = Plan(policy, snapshot_of([earlier], n=12))
    assert plan.scheduled(asked, claim, []).start == 12
    # Trial 5 has a configuration of the advice before, trial 6 has none.
    assert plan.scheduled(asked, claim, [5, 6, 9]).start == 6
    assert plan.scheduled(asked, replace(claim, block=0), []).outcome == "redundant"
    first = Plan(policy, snapshot_of([], n=12)).scheduled(asked, replace(claim, block=0), [7])
    assert (first.start, first.share) == (7, 1.0)


def test_a_trial_before_the_latest_advice_waits_for_no_other() -> None:
    old = AdviceRecord(0, 0, start=0, advice=advice(4))
    latest = AdviceRecord(9, 1, start=10, advice=advice(1))
    plan = Plan(Policy(1.0, 4, 4), snapshot_of([old, latest], n=16))
    assert plan.turn(3).assignment
    assert not plan.turn(6).is_models  # of a worker that died, or samples late
    assert plan.turn(11).needs_advice
    asked = AdviceRecord(12, 2, asked_on=12, advice=advice(4))
    placed = plan.scheduled(asked, Claim(12, 2, 12, True, 0.0, 20.0), [6, 12])
    assert placed.start == 12


def test_an_enqueued_trial_uses_up_no_position() -> None:
    enqueued = create_trial(value=0.0, system_attrs={"fixed_params": {"x": 1.0}})
    snapshot = snapshot_of([AdviceRecord(0, 0, start=0, advice=advice(4))], n=8)
    snapshot = replace(snapshot, trials=[_FINISHED[0], enqueued, *_FINISHED[2:8]])
    plan = Plan(Policy(1.0, 4, 4), snapshot)
    found = [plan.turn(n).assignment for n in (0, 2, 3, 4)]
    assert [each and each.position for each in found] == [0, 1, 2, 3]
    assert plan.turn(5).needs_advice


# --- what is written ------------------------------------------------------------------------


def test_an_advice_fits_into_mysqls_text_and_is_trimmed_by_value() -> None:
    label = "ünï" * 40  # escaped to six bytes a letter
    params = {f"parameter_{i}": label for i in range(12)}
    big = Advice(
        tuple(Config(params, "why " * 50) for _ in range(64)),
        "note " * 400,
    )
    study = optuna.create_study()
    trial = study.ask()
    record = AdviceRecord(0, 0, advice=big, call=Call(model="m" * 10_000))
    store_of(study).record(trial._trial_id, record)
    (value,) = study._storage.get_trial_system_attrs(trial._trial_id).values()
    assert len(json.dumps(value).encode()) <= 60_000 < 65_535
    (back,) = store_of(study).read().records
    assert 0 < len(back.advice.configs) < 64
    assert all(config.params == params for config in back.advice.configs)
    small = replace(record, advice=advice(8), call=Call(model="m"))
    assert len(to_attribute(small)["advice"]["configs"]) == 8
    assert to_attribute(small)["advice"]["configs"][0][1] == "why"


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"v": 1},
        {"v": 99, "trial": 0},
        {"v": 1, "trial": 0, "block": 0, "start": 1, "outcome": "ok"},
        {"v": 1, "trial": 0, "block": "x", "start": 0, "outcome": "ok", "retryable": True},
    ],
)
def test_what_is_not_understood_is_ignored(value: Any) -> None:
    study = optuna.create_study(sampler=sampler(numbers))
    trial = study.ask()
    for key in (f"{_keys.RECORD}0", _keys.CLAIM):
        study._storage.set_trial_system_attr(trial._trial_id, key, value)
    snapshot = store_of(study).read()
    assert not snapshot.records
    assert not snapshot.claims
    assert objective(trial) == 0.0
    assert sources(study) == ["llm"]


def test_attributes_of_a_retried_trial_are_its_parents() -> None:
    study = optuna.create_study(sampler=sampler(numbers))
    study.optimize(objective, n_trials=1)
    parent = study.trials[0]
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            system_attrs={**parent.system_attrs, "failed_trial": 0, "retry_history": [0]},
        )
    )
    assert [record.trial for record in store_of(study).read().records] == [0]
    study.optimize(objective, n_trials=1)
    assert [t.params["x"] for t in study.trials] == [0.0, 20.0]


def test_each_process_reads_finished_trials_once() -> None:
    study = optuna.create_study(sampler=sampler(numbers))
    study.optimize(objective, n_trials=3)
    store = store_of(study)
    before = store.read()
    again = store.read()
    assert again.records[0] is before.records[0]
    assert again.history is before.history
    assert again.history.has_duplicate({"x": 20.0}, SPACE)
    assert not again.history.has_duplicate({"x": 900.0}, SPACE)


# --- who asks -------------------------------------------------------------------------------


def test_a_claim_counts_while_it_is_renewed() -> None:
    study = optuna.create_study()
    trial = study.ask()
    store = store_of(study)
    claim = Claim(0, 0, 0, True, time.time(), 0.4)
    store.claim(trial._trial_id, claim)
    assert [c.asked_on for c in store.read().other_claims(7)] == [0]
    assert store.read().other_claims(0) == []
    time.sleep(0.3)
    store.claim(trial._trial_id, replace(claim, at=time.time()))
    time.sleep(0.3)
    assert store.read().other_claims(7)  # first seen 0.6 s ago, but renewed since
    time.sleep(0.5)
    assert not store.read().other_claims(7)
    assert store.read().expired == {0}


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
def test_claims_do_not_depend_on_the_clocks_of_others(off: float) -> None:
    study = optuna.create_study()
    trial = study.ask()
    store = store_of(study)
    store.claim(trial._trial_id, Claim(0, 0, 0, True, time.time() + off / 100, 20.0))
    assert store.read().other_claims(7)  # half a minute wrong
    store.claim(trial._trial_id, Claim(0, 0, 0, True, time.time() + off, 20.0))
    assert not store_of(study).read().other_claims(7)  # of a worker that died an hour ago


def test_a_claim_outlives_its_trial_and_ends_with_the_answer() -> None:
    study = optuna.create_study()
    trial = study.ask()
    store = store_of(study)
    store.claim(trial._trial_id, Claim(0, 0, 0, True, time.time(), 20.0))
    study.tell(trial, 0.0)
    assert store.read().other_claims(7)
    later = study.ask()
    store.record(later._trial_id, AdviceRecord(1, 0, asked_on=0, outcome="rate_limit"))
    assert not store.read().other_claims(7)


def test_two_workers_that_claim_at_once_make_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_call, "_CLAIM_SETTLES", 0.3)
    storage = InMemoryStorage()
    asked: list[float] = []
    barrier = threading.Barrier(2)

    def handler(request: Request) -> str:
        asked.append(time.monotonic())
        time.sleep(0.5)
        return json.dumps({"configs": [{"x": 200.0 * len(asked) + 20 * i} for i in range(8)]})

    def work() -> None:
        # Two samplers are two processes, as far as the sampler is concerned.
        study = optuna.load_study(
            study_name="s",
            storage=storage,
            sampler=sampler(handler, prefetch=False, llm_share=1.0, n_configs=8),
        )
        trial = study.ask()
        barrier.wait()
        study.tell(trial, objective(trial))

    optuna.create_study(study_name="s", storage=storage)
    for _ in range(5):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    study = optuna.load_study(study_name="s", storage=storage)
    assert len(asked) == 2  # ten trials are one block of eight and two of the next
    assert sources(study) == ["llm"] * 10
    assert len({t.user_attrs["llm_advice"] for t in study.trials}) == 10


def test_waiting_trials_wait_for_nobody_and_nobody_for_them() -> None:
    study = optuna.create_study(sampler=sampler(numbers))
    for x in (1.0, 2.0):
        study.enqueue_trial({"x": x})
    study.optimize(objective, n_trials=4)
    assert sources(study) == ["enqueued", "enqueued", "llm", "llm"]
    assert store_of(study).read().records[0].start == 2


def test_a_model_without_ideas_is_asked_more_and_more_rarely() -> None:
    answers = iter(["no idea"] * 8)  # two per call

    def handler(request: Request) -> str:
        return next(answers, None) or numbers(request)

    study = optuna.create_study(sampler=sampler(handler, prefetch=False))
    study.optimize(objective, n_trials=14)
    failed = [
        record.asked_on for record in store_of(study).read().records if record.outcome != "ok"
    ]
    assert failed[:4] == [0, 1, 2, 4]
    assert sources(study)[:8] == ["fallback:unusable_answer"] * 8
    # The first advice serves the trial that asked for it.
    first = next(record for record in store_of(study).read().records if record.outcome == "ok")
    assert first.start == sources(study).index("llm") == 8
    assert sources(study)[8:13] == ["llm"] * 5


# --- nearly the same ------------------------------------------------------------------------


def test_what_runs_or_failed_or_is_promised_is_not_handed_out_again() -> None:
    def repeat(request: Request) -> str:
        return json.dumps({"configs": [{"x": 100.0}, {"x": 101.0}, {"x": 300.0}, {"x": 500.0}]})

    study = optuna.create_study(sampler=sampler(repeat, n_configs=4, llm_share=1.0))
    running = study.ask({"x": FloatDistribution(0, 1000)})
    assert running.params == {"x": 100.0}
    study.tell(running, state=TrialState.FAIL)
    still = study.ask({"x": FloatDistribution(0, 1000)})
    assert still.params == {"x": 300.0}  # 101 is the same idea as 100
    other = sampler(repeat, n_configs=4, llm_share=1.0, prefetch=False)
    study.sampler = other
    study.optimize(objective, n_trials=6)
    mine = [t.params["x"] for t in study.trials if t.user_attrs["llm_source"] == "llm"]
    assert sorted(mine) == [100.0, 300.0, 500.0]


def test_the_model_is_shown_what_runs_as_a_whole() -> None:
    texts: list[str] = []

    def handler(request: Request) -> str:
        texts.append(request.messages[-1]["content"])
        return json.dumps({"configs": [{"x": 123.0 * i, "z": 0.5} for i in range(1, 6)]})

    space = {**SPACE, "z": FloatDistribution(0, 1)}
    study = optuna.create_study(
        sampler=sampler(handler, search_space=space, n_configs=2, llm_share=1.0, prefetch=False)
    )
    first, second = study.ask(), study.ask()
    assert first.suggest_float("x", 0, 1000) == 123.0  # and not z yet
    assert second.suggest_float("x", 0, 1000) == 246.0
    third = study.ask()
    third.suggest_float("x", 0, 1000)
    assert len(texts) == 2
    running = texts[1][texts[1].index("Running now") :]
    assert '{"x": 123.0, "z": 0.5}' in running
    assert '{"x": 246.0, "z": 0.5}' in running


# --- storages that fail ---------------------------------------------------------------------


class Flaky(InMemoryStorage):
    """Fails at every nth thing that only this sampler does."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self._nth, self._count, self.failures = nth, 0, 0

    def _maybe_fail(self) -> None:
        self._count += 1
        if self._count % self._nth == 0:
            self.failures += 1
            raise optuna.exceptions.StorageInternalError("the server has gone away")

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._maybe_fail()
        super().set_trial_system_attr(trial_id, key, value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._maybe_fail()
        super().set_trial_user_attr(trial_id, key, value)

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> Any:
        if states is None and not deepcopy:
            self._maybe_fail()
        return super().get_all_trials(study_id, deepcopy, states)


@pytest.mark.parametrize("nth", [1, 2, 3, 5, 7])
def test_a_storage_that_fails_in_mid_write_loses_no_trial(nth: int) -> None:
    storage = Flaky(nth)
    study = optuna.create_study(
        storage=storage, sampler=sampler(numbers, llm_share=1.0, timeout=3.0, prefetch=False)
    )
    study.optimize(objective, n_trials=12)
    failures, storage._nth = storage.failures, 10**9
    assert failures >= 5
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 12
    taken = [t.user_attrs["llm_advice"] for t in study.trials if "llm_advice" in t.user_attrs]
    assert len(set(taken)) == len(taken)


# --- processes ------------------------------------------------------------------------------


def test_nothing_hangs_at_exit() -> None:
    script = """
import time, optuna
from tests.store.test_store import objective, sampler
study = optuna.create_study(sampler=sampler(lambda request: time.sleep(600), timeout=0.0))
study.optimize(objective, n_trials=3)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_threads_end_with_their_call_and_with_their_study() -> None:
    gate = threading.Event()

    def handler(request: Request) -> str:
        gate.wait(30)
        return numbers(request)

    study = optuna.create_study(sampler=sampler(handler, timeout=0.0))
    study.optimize(objective, n_trials=2)
    threads = call_threads()
    assert len(threads) == 2  # one asks, one renews the claim
    del study
    gate.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_sampler_starts_clean() -> None:
    gate = threading.Event()
    parent = os.getpid()

    def handler(request: Request) -> str:
        if os.getpid() == parent:
            gate.wait(30)
        return numbers(request)

    used = sampler(handler, timeout=0.0)
    study = optuna.create_study(sampler=used)
    study.optimize(objective, n_trials=1)  # leaves a call under way
    fork = multiprocessing.get_context("fork")
    found = fork.Queue()

    def child() -> None:
        # A study of its own: an in-memory storage is not shared with the parent.
        used._settings = replace(used._settings, timeout=20.0)
        own = optuna.create_study(sampler=used)
        own.optimize(objective, n_trials=2)
        found.put(sources(own))

    process = fork.Process(target=child)
    process.start()
    try:
        assert found.get(timeout=30) == ["llm", "llm"]
        process.join(30)
        assert process.exitcode == 0
    finally:
        gate.set()
        process.kill()


def test_trials_that_start_together_store_an_undelivered_answer_once() -> None:
    study = optuna.create_study()
    first = study.ask()
    asked, may_answer = threading.Event(), threading.Event()

    def ask(snapshot: Snapshot) -> AdviceRecord:
        asked.set()
        may_answer.wait(10)
        return AdviceRecord(trial=0, block=0, asked_on=0, advice=advice(4))

    class Slow(AdviceStore):
        def record(self, trial_id: int, record: AdviceRecord) -> None:
            time.sleep(0.2)
            super().record(trial_id, record)

    call = background_call.BackgroundCall(
        Slow(study._storage, study._study_id),
        Claim(0, 0, 0, False, time.time(), 20.0),
        background_call.HostTrial(trial_id=first._trial_id, number=0),
        is_alone=True,
        ask=ask,
        schedule=lambda snapshot, record, has_begun: replace(record, start=record.trial),
        may_ask=lambda snapshot: True,
    )
    call.start(store_of(study).read())
    assert asked.wait(10)
    study.tell(first, 1.0)  # so the answer has no trial to lie on
    may_answer.set()
    assert call.done.wait(20)
    was_open = call.open
    trials = [study.ask() for _ in range(4)]
    hosts = [background_call.HostTrial(trial_id=t._trial_id, number=t.number) for t in trials]
    threads = [threading.Thread(target=call.move_to, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (was_open, call.open) == (True, False)
    assert len(store_of(study).read().records) == 1
