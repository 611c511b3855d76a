"""Many workers, one study: real servers, real processes, real kills. Counts, not seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, ExitStack
from dataclasses import replace
import os
from pathlib import Path
import random
import signal
import time
from typing import Any

from optuna.trial import FrozenTrial, TrialState
import pytest

from benchmarks._postgres import restart_postgres
from optuna_llm_sampler._policy.allocation import Plan, Policy
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler.testing import FakeLLM

from ..support.storages import (
    grpc_proxy,
    Job,
    join,
    MoodyModel,
    noted,
    opened,
    Postgres,
    records,
    run,
    source,
    trials,
    until,
    workers,
)
from ..support.versions import RetryCallback


ALL_FROM_THE_MODEL: dict[str, Any] = {"llm_share": 1.0, "n_configs": 8, "timeout": 60.0}


def positions_used_twice(found: list[FrozenTrial]) -> int:
    """A retried trial carries its parent's attributes, and its parent's configuration."""
    advice = Counter(
        t.user_attrs["llm_advice"]
        for t in found
        if source(t) == "llm" and RetryCallback.retried_trial_number(t) is None
    )
    return sum(count - 1 for count in advice.values())


def repeated_params(found: list[FrozenTrial]) -> int:
    mine = Counter(str(sorted(t.params.items())) for t in found if source(t) == "llm")
    return sum(count - 1 for count in mine.values())


# --- one advice for all ---------------------------------------------------------------------


@pytest.mark.slow
def test_eight_processes_on_postgresql_ask_once_per_block(
    postgres: Postgres, tmp_path: Path
) -> None:
    job = Job(postgres.url, tmp_path, latency=1.0, name="blocks")
    job.arguments.update(ALL_FROM_THE_MODEL)
    job.arguments["prefetch"] = False  # so that every trial gets its configuration
    found = run(job, 8, 64)
    assert len(noted(job, "calls")) <= 8 + 3  # an answer with repetitions serves fewer trials
    assert [t.state for t in found] == [TrialState.COMPLETE] * 64
    assert [source(t) for t in found].count("llm") >= 60
    assert positions_used_twice(found) == 0
    assert repeated_params(found) == 0


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/study.db"


@contextmanager
def journal(folder: Path) -> Iterator[str]:
    yield f"{folder}/study.journal"


@contextmanager
def grpc(folder: Path) -> Iterator[str]:
    pytest.importorskip("grpc")
    with sqlite(folder) as url, grpc_proxy(url) as proxy:
        yield proxy


@pytest.mark.slow
@pytest.mark.parametrize("serve", [sqlite, journal, grpc])
def test_four_processes_on_any_storage_ask_once_per_block(
    serve: Callable[[Path], AbstractContextManager[str]], tmp_path: Path
) -> None:
    with serve(tmp_path) as url:
        job = Job(url, tmp_path, latency=0.5, arguments={**ALL_FROM_THE_MODEL})
        job.arguments["prefetch"] = False
        found = run(job, 4, 32)
        assert len(noted(job, "calls")) <= 4 + 3
        assert [t.state for t in found] == [TrialState.COMPLETE] * 32
        assert [source(t) for t in found].count("llm") >= 30
        assert positions_used_twice(found) == 0
        assert repeated_params(found) == 0


# --- nobody waits ---------------------------------------------------------------------------


@pytest.mark.slow
def test_after_the_first_block_nobody_waits(postgres: Postgres, tmp_path: Path) -> None:
    # A call takes ten times as long as a trial.
    job = Job(postgres.url, tmp_path, latency=2.0, seconds=0.2, name="nobody-waits")
    found = run(job, 8, 80)
    first = next(record for record in records(job) if record.outcome == "ok")
    waited = {t["number"] for t in noted(job, "trials") if t["waited"]}
    # Eight that begin at once may each take themselves for the first, until they see a claim.
    assert waited <= set(range(max(8, first.start + 5)))
    assert len(noted(job, "calls")) >= 2
    assert [t.state for t in found] == [TrialState.COMPLETE] * 80
    assert positions_used_twice(found) == repeated_params(found) == 0
    assert "fallback:timeout" not in {source(t) for t in found}


@pytest.mark.slow
def test_a_slow_models_calls_are_not_made_by_every_worker(
    postgres: Postgres, tmp_path: Path
) -> None:
    # The asker's trial ends long before its call does: its claim has to move on with it.
    job = Job(postgres.url, tmp_path, latency=2.0, seconds=0.7, name="slow-model")
    job.arguments.update({**ALL_FROM_THE_MODEL, "timeout": 0.0})
    found = run(job, 8, 80)
    asked = [call["at"] for call in noted(job, "calls")]
    answered = [answer["at"] for answer in noted(job, "answers")]
    early = [call < answer for call, answer in zip(asked[1:], answered, strict=False)]
    assert sum(early) <= 1  # one at a time, but for two that miss each other's claims
    assert not any(t["waited"] for t in noted(job, "trials"))
    # Without waiting, no trial before the first advice is the model's; a trial that began just
    # before it came may learn that the schedule starts with the next one.
    advices = [record for record in records(job) if record.outcome == "ok"]
    base = [t.number for t in found if source(t) == "base"]
    late = [number for number in base if number >= advices[0].start]
    assert len(late) <= 1, (late, advices[0].start)  # one may have read the storage before
    kinds = {"llm", "base", "fallback:not_ready", "fallback:known_already"}
    assert {source(t) for t in found} <= kinds
    # No best guess is left to the past: an advice is used from its start on, but for trials that
    # began while it was being written.
    ends = [*(record.start for record in advices[1:]), len(found)]
    meant = sum(min(8, end - record.start) for record, end in zip(advices, ends, strict=True))
    used = {t.user_attrs["llm_advice"] for t in found if source(t) == "llm"}
    assert len(used) >= meant / 2
    assert positions_used_twice(found) == repeated_params(found) == 0


# --- workers that die -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(5), range(5, 10)])
def test_leaders_are_killed_in_mid_call(seeds: range, postgres: Postgres, tmp_path: Path) -> None:
    jobs = [Job(postgres.url, tmp_path / str(i), latency=2.5, name=f"killed-{i}") for i in seeds]
    with ExitStack() as stack:
        running, killed = [], []
        killers = stack.enter_context(ThreadPoolExecutor())
        for job, seed in zip(jobs, seeds, strict=True):  # side by side: they mostly wait
            job.folder.mkdir()
            job.arguments.update({**ALL_FROM_THE_MODEL, "timeout": 9.0, "prefetch": False})
            running.append(stack.enter_context(workers(job, 3, 8)))
            killed.append(killers.submit(_kill_leader, job, seed))
        for kill in killed:
            kill.result()
        for processes in running:
            assert sorted(join(processes), key=str) == [-signal.SIGKILL, 0, 0]
    for job in jobs:
        found = trials(job)
        assert Counter(t.state for t in found) == {TrialState.COMPLETE: 7, TrialState.RUNNING: 1}
        assert len(noted(job, "calls")) <= 1 + 1 + 1
        assert positions_used_twice(found) == repeated_params(found) == 0
        assert max(t["seconds"] for t in noted(job, "trials")) < 9.0 + 3
        assert [source(t) for t in found].count("llm") >= 5  # somebody took over in time


def _kill_leader(job: Job, seed: int) -> None:
    # Well before the call ends: a busy machine is late, and between two trials none would run.
    moment = random.Random(seed).uniform(0.0, 0.3 * job.latency)
    until(lambda: bool(noted(job, "calls")))
    time.sleep(moment)
    os.kill(noted(job, "calls")[0]["pid"], signal.SIGKILL)


@pytest.mark.slow
def test_shares_move_while_workers_are_killed(postgres: Postgres, tmp_path: Path) -> None:
    job = Job(postgres.url, tmp_path, latency=0.3, seconds=0.1, name="moving")
    job.arguments.update({"timeout": 15.0, "prefetch": False})
    rng = random.Random(0)
    with workers(job, 8, 96) as processes:
        for n_begun in (24, 56):
            until(lambda n=n_begun: len(noted(job, "running")) >= n)  # type: ignore[misc]
            pids = [p.pid for p in processes if p.is_alive()]
            os.kill(rng.choice([pid for pid in pids if pid is not None]), signal.SIGKILL)
        assert sorted(join(processes, 240), key=str) == [-signal.SIGKILL] * 2 + [0] * 6
    found = trials(job)
    states = Counter(t.state for t in found)
    assert states[TrialState.COMPLETE] >= 94
    assert states[TrialState.COMPLETE] + states[TrialState.RUNNING] == len(found)
    assert states[TrialState.RUNNING] <= 2
    shares = {record.share for record in records(job) if record.outcome == "ok"}
    assert len(shares) >= 3, shares
    assert {source(t) for t in found} >= {"llm", "base"}
    assert positions_used_twice(found) == repeated_params(found) == 0


@pytest.mark.slow
def test_sixty_four_workers_use_every_configuration_once(
    postgres: Postgres, tmp_path: Path
) -> None:
    job = Job(postgres.url, tmp_path, latency=0.3, seconds=0.2, threads=4, name="sixty-four")
    job.arguments.update({"llm": FakeLLM(MoodyModel(job)), "timeout": 20.0, "prefetch": False})
    rng = random.Random(0)
    with workers(job, 16, 288) as processes:
        for n_begun in (70, 120):
            until(lambda n=n_begun: len(noted(job, "running")) >= n)  # type: ignore[misc]
            pids = [p.pid for p in processes if p.is_alive()]
            os.kill(rng.choice([pid for pid in pids if pid is not None]), signal.SIGKILL)
        assert sorted(join(processes, 240), key=str) == [-signal.SIGKILL] * 2 + [0] * 14
    found = trials(job)
    states = Counter(t.state for t in found)
    assert states[TrialState.RUNNING] <= 2 * job.threads
    assert states[TrialState.COMPLETE] + states[TrialState.RUNNING] == len(found)
    assert states[TrialState.COMPLETE] >= 288 - 2 * job.threads
    with opened(job) as study:
        snapshot = AdviceStore(study._storage, study._study_id).read()
    assert len({record.share for record in snapshot.advices}) >= 3
    assert positions_used_twice(found) == repeated_params(found) == 0
    # Every configuration is used, unless its trial died, it resembles another trial, the model had
    # lost its share, or its process could not store it in time.
    plan = Plan(Policy(None, 4, 4, is_fixed=True), snapshot)
    assigned = [trial for trial in found if plan.turn(trial.number).assignment is not None]
    sources = Counter(source(trial) for trial in assigned)
    kinds = {"llm", "base", "None", "fallback:known_already", "fallback:not_stored"}
    assert sources.keys() <= kinds
    assert sources["llm"] >= 20


@pytest.mark.slow
def test_defaults_are_tried_once_by_eight_processes(postgres: Postgres, tmp_path: Path) -> None:
    default = {"x": 0.125, "y": 3e-3, "n": 2, "kind": "a"}
    job = Job(postgres.url, tmp_path, latency=0.5, name="defaults")
    job.arguments.update({"defaults": default, "timeout": 15.0, "prefetch": False})
    found = run(job, 8, 40)
    assert [t.params for t in found].count(default) == 1
    assert [source(t) for t in found].count("defaults") == 1
    assert next(t.number for t in found if source(t) == "defaults") < 8


@pytest.mark.slow
def test_heartbeats_and_retries(postgres: Postgres, tmp_path: Path) -> None:
    job = Job(postgres.url, tmp_path, latency=1.0, seconds=0.7, heartbeat=1, name="heartbeat")
    job.arguments.update({**ALL_FROM_THE_MODEL, "timeout": 9.0, "prefetch": False})
    with workers(job, 4, 18) as processes:
        until(lambda: bool(noted(job, "calls")))
        leader = noted(job, "calls")[0]["pid"]
        os.kill(leader, signal.SIGKILL)  # undecided: its retry has no parameters
        until(lambda: any(r["pid"] != leader for r in noted(job, "running")))
        follower = next(r for r in noted(job, "running") if r["pid"] != leader)
        os.kill(follower["pid"], signal.SIGKILL)  # its retry has all of them
        assert sorted(join(processes), key=str) == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
    found = trials(job)
    states = Counter(t.state for t in found)
    assert states == {TrialState.COMPLETE: 16, TrialState.FAIL: 2}
    retries = [t for t in found if "failed_trial" in t.system_attrs]
    assert len(retries) == 2
    assert found[follower["number"]].params in [t.params for t in retries]
    assert len(noted(job, "calls")) <= 3 + 2 + 1
    assert positions_used_twice(found) == 0


@pytest.mark.slow
def test_postgresql_is_restarted_in_mid_call(postgres: Postgres, tmp_path: Path) -> None:
    job = Job(postgres.url, tmp_path, latency=5.0, seconds=5.0, name="restart")
    job.arguments.update({**ALL_FROM_THE_MODEL, "timeout": 0.0})
    with workers(job, 4, 12) as processes:
        until(lambda: len(noted(job, "running")) == 4 and bool(noted(job, "calls")))
        time.sleep(0.5)  # all have their parameters; only calls and claims go on
        before = {t.number: t for t in trials(job)}
        restart_postgres(postgres.folder)
        assert join(processes) == [0] * 4
    found = trials(job)
    assert [t.state for t in found] == [TrialState.COMPLETE] * 12
    for number, trial in before.items():
        assert found[number].params == trial.params
        assert trial.system_attrs.items() <= found[number].system_attrs.items() or any(
            key.startswith("llm:claim") for key in trial.system_attrs
        )
    assert [source(t) for t in found].count("llm") >= 3  # the call outlived the restart
    assert len(noted(job, "calls")) <= 4
    assert positions_used_twice(found) == 0


@pytest.mark.slow
def test_a_study_is_resumed_after_all_workers_were_killed(
    postgres: Postgres, tmp_path: Path
) -> None:
    job = Job(postgres.url, tmp_path, latency=30.0, name="resumed")
    job.arguments.update({**ALL_FROM_THE_MODEL, "timeout": 9.0, "prefetch": False})
    with workers(job, 3, 16):
        until(lambda: bool(noted(job, "calls")))
    found = run(replace(job, latency=0.2), 2, 8)
    zombies = [t.number for t in found if t.state == TrialState.RUNNING]
    assert len(zombies) <= 3
    fresh = [t for t in found if t.number not in zombies]
    assert [source(t) for t in fresh] == ["llm"] * 8
    assert len(noted(job, "calls")) <= 1 + 2 + 1
    # Zombies so young may hold a place each in the first advice, but nobody waits for them.
    assert positions_used_twice(found) == 0
