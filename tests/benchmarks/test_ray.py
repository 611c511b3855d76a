"""The main job on a Ray cluster of two nodes, one of which is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
import pytest

from benchmarks.customer_service.objective import WORKER
from benchmarks.customer_service.ray_engine import run_ray, Tickets
from optuna_llm_sampler.testing import FakeLLM

from ..support.main_job import PatientAnswer, small_config, study_of


def test_a_lost_trials_ticket_is_given_again() -> None:
    tickets = Tickets(3)
    assert tickets.enter(0, "a:1") is None
    assert tickets.enter(1, "b:1") is None
    assert [tickets.take(0), tickets.take(1), tickets.take(0)] == [True] * 3
    assert not tickets.take(0)
    assert tickets.enter(1, "a:2") == "b:1"
    assert tickets.take(1)
    assert not tickets.take(1)
    assert tickets.enter(1, "a:3") == "a:2"
    assert not tickets.take(1)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.slow
# What Ray leaves to the garbage collector when a node dies.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_node_dies_and_the_study_completes(cluster: Any, tmp_path: Path) -> None:
    doomed = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    config = small_config(tmp_path)
    config = replace(config, llm=FakeLLM(PatientAnswer(config.storage)))
    victims: set[str] = set()

    def tick() -> None:
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        workers = {trial.user_attrs[WORKER] for trial in running if WORKER in trial.user_attrs}
        if len(workers) == 2 and not victims:  # one on each node
            victims.update(workers)
            cluster.remove_node(doomed, allow_graceful=False)

    with study_of(config) as study:
        outcome = run_ray(config, 8, 2, study, tick, address=cluster.address)
        trials = study.trials
    assert len(victims) == 2
    assert outcome.troubles == ()  # Ray has started the worker again
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    lost = [t for t in trials if t not in ended]
    assert 8 <= len(ended) <= 9  # nine if it had just told its trial
    assert len(lost) <= 1
    assert {t.user_attrs.get(WORKER) for t in lost} <= {*victims, None}
    _no_configuration_twice(trials)


def _no_configuration_twice(trials: list[optuna.trial.FrozenTrial]) -> None:
    advice = [t.user_attrs["llm_advice"] for t in trials if "llm_advice" in t.user_attrs]
    assert len(set(advice)) == len(advice) >= 4
