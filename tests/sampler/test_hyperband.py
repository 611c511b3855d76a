"""Branches, Hyperband and four workers on PostgreSQL, all at once."""

from __future__ import annotations

from collections import Counter
import json
from multiprocessing.synchronize import Semaphore
from pathlib import Path
import random
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import HyperbandPruner
from optuna.samplers import RandomSampler
from optuna.trial import Trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.fakes import random_value
from ..support.storages import context, Job, join, note, noted, opened, Postgres, trials


SPACE: dict[str, BaseDistribution] = {
    "model": CategoricalDistribution(["svm", "forest", "boost"]),
    "svm_c": FloatDistribution(-10, 10),
    "trees": IntDistribution(1, 200),
    "rate": FloatDistribution(-10, 10),
}
CONDITIONS = {
    "svm_c": {"model": ["svm"]},
    "trees": {"model": ["forest", "boost"]},
    "rate": {"model": ["boost"]},
}
N_TRIALS = 40


class Model:
    """Answers each branch that the schema describes in turn, at random."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, request: Request) -> str:
        text = request.messages[1]["content"]
        note(self._job, "calls", text=text)
        rng = random.Random(text)
        assert request.schema is not None
        branches = request.schema["properties"]["configs"]["items"]["anyOf"]
        configs = [
            {
                name: "a guess" if name == "why" else random_value(schema, rng)
                for name, schema in branches[i % len(branches)]["properties"].items()
            }
            for i in range(12)
        ]
        return json.dumps({"configs": configs})


def objective(trial: Trial) -> float:
    model = trial.suggest_categorical("model", ["svm", "forest", "boost"])
    if model == "svm":
        level = abs(trial.suggest_float("svm_c", -10, 10))
    else:
        level = trial.suggest_int("trees", 1, 200) / 20
    if model == "boost":
        level += abs(trial.suggest_float("rate", -10, 10))
    for step in range(1, 10):
        trial.report(level + 1 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return level


def work(job: Job, tickets: Semaphore) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = LLMSampler(
        FakeLLM(Model(job)),
        search_space=SPACE,
        conditions=CONDITIONS,
        base_sampler=RandomSampler(),
        **job.arguments,
    )
    with opened(job, sampler) as study:
        study.pruner = HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)
        while tickets.acquire(False):
            study.optimize(objective, n_trials=1)


@pytest.mark.slow
def test_hyperband_branches_and_four_workers_on_postgresql(
    postgres: Postgres, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {
        "llm_share": 1.0,
        "n_configs": 8,
        "timeout": 60.0,
        "prefetch": False,
    }
    job = Job(postgres.url, tmp_path, arguments=arguments, name="hyperband")
    with opened(job):
        pass
    tickets = context().Semaphore(N_TRIALS)
    workers = [context().Process(target=work, args=(job, tickets)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert join(workers) == [0] * 4
    found = trials(job)
    states = Counter(trial.state for trial in found)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == N_TRIALS
    assert states[TrialState.PRUNED] >= 3
    mine = [t for t in found if t.user_attrs["llm_source"] == "llm"]
    assert len(mine) >= N_TRIALS * 3 // 4
    assert {t.params["model"] for t in mine} == {"svm", "forest", "boost"}
    assert not any("llm_from_base" in t.user_attrs for t in mine)
    advice = Counter(t.user_attrs["llm_advice"] for t in mine)
    assert max(advice.values()) == 1
    texts = [call["text"] for call in noted(job, "calls")]
    # An answer that repeats what is known serves fewer than eight trials.
    assert len(texts) <= N_TRIALS // 8 + 5
    assert '- with "model" = "boost": "rate"' in texts[0]
    assert "(pruned; " in texts[-1]
    assert "passed 1 rung" in "".join(texts)
