"""Budget and breaker hold across processes and across restarts: PostgreSQL, real HTTP, counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
import pytest

from optuna_llm_sampler import Budget, OpenAI
from optuna_llm_sampler._store.store import AdviceStore

from ..support.servers import misbehaving_server
from ..support.storages import Job, noted, opened, Postgres, run, source, trials, until, workers


# Every two trials want an advice: without a budget, 200 trials make a hundred calls.
GREEDY: dict[str, Any] = {"llm_share": 1.0, "n_configs": 2, "timeout": 60.0, "prefetch": False}


@pytest.mark.slow
def test_a_budget_holds_for_eight_processes_that_are_killed_and_started_again(
    postgres: Postgres, tmp_path: Path
) -> None:
    # The lease of a claim, which those that come later wait for, is a third of the timeout.
    arguments = {**GREEDY, "timeout": 9.0, "budget": Budget(calls=5)}
    job = Job(postgres.url, tmp_path, latency=0.3, arguments=arguments, name="budget")
    with workers(job, 8, 200):  # all are killed in the midst of it
        until(lambda: len(noted(job, "calls")) >= 3)
    killed = trials(job)
    found = run(job, 8, 56)
    assert len(noted(job, "calls")) <= 5 + 1
    states = Counter(trial.state for trial in found[len(killed) :])
    assert states == {TrialState.COMPLETE: len(found) - len(killed)}
    assert len(found) >= len(killed) + 56
    assert {source(trial) for trial in found[-24:]} == {"fallback:budget"}
    with opened(job) as study:
        snapshot = AdviceStore.of(study).read()
    known = sum(record.call.requests for record in snapshot.records)
    assert 5 <= known + len(snapshot.unanswered) <= 5 + 1
    assert len(noted(job, "calls")) <= known + len(snapshot.unanswered)


@pytest.mark.slow
def test_a_dead_key_is_not_tried_by_every_worker(postgres: Postgres, tmp_path: Path) -> None:
    with misbehaving_server("unauthorized") as server:
        llm = OpenAI(base_url=server.url, model="m")
        job = Job(postgres.url, tmp_path, arguments={**GREEDY, "llm": llm}, name="dead-key")
        found = run(job, 8, 80)
        assert 1 <= len(server.received) <= 3
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 80
    assert set(map(source, found)) == {"fallback:authentication"}
