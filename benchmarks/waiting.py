"""How long trials wait for a slow model, and how stale its advice is when it is used.

The model is a good one that takes a fixed time to answer; trials do nothing for a fixed time. All
studies run at the same time, in threads, since all of them only wait.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import product
import json
import random
from statistics import fmean
import sys
import time

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from benchmarks._help import parser as help_parser, positive
from optuna_llm_sampler import LLMSampler, usage
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


SPACE = {name: FloatDistribution(0.0, 1.0) for name in "abcdefgh"}


@dataclass(frozen=True)
class Outcome:
    """What one study came to.

    Attributes:
        first_seconds:
            Longest wait for the first advice.
        seconds:
            Seconds that a later trial waited, mean.
        waiting:
            Share of the workers' time that later trials spent waiting.
        models:
            Share of the later trials that were the model's.
        stale:
            Trials that had finished since the model was asked, mean over the model's later trials.
        calls:
            Calls to the model per 50 trials.
    """

    first_seconds: float
    seconds: float
    waiting: float
    models: float
    stale: float
    calls: float


def run(trial_seconds: float, call_seconds: float, n_workers: int, n_trials: int) -> Outcome:
    """Run one study."""
    rng = random.Random(0)

    def answer(request: Request) -> str:
        time.sleep(call_seconds)
        n = 16  # what is too many is dropped
        configs = [{name: 0.5 + rng.gauss(0, 0.05) for name in SPACE} for _ in range(n)]
        return json.dumps({"configs": configs})

    def objective(trial: optuna.Trial) -> float:
        values = [trial.suggest_float(name, 0.0, 1.0) for name in SPACE]
        trial.set_user_attr("ready", datetime.now().isoformat())
        time.sleep(trial_seconds)
        return sum((value - 0.5) ** 2 for value in values)

    sampler = LLMSampler(FakeLLM(answer), search_space=SPACE, base_sampler=RandomSampler(seed=0))
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=n_trials, n_jobs=n_workers)
    return _outcome(study)


def _outcome(study: optuna.Study) -> Outcome:
    records = {
        (record.trial, record.block): record for record in AdviceStore.of(study).read().records
    }
    first = next(record for record in records.values() if record.block == 0)
    trials = study.trials
    later = [trial for trial in trials if _begin(trial) >= first.call.at]
    waits = {trial.number: _ready(trial) - _begin(trial) for trial in trials}
    lengths = sum(_end(trial) - _ready(trial) for trial in later)
    waited = sum(waits[trial.number] for trial in later)
    stale = []
    for trial in later:
        words = str(trial.user_attrs.get("llm_advice", "")).replace(",", "").split()
        if trial.user_attrs["llm_source"] == "llm":
            record = records[int(words[1]), int(words[3])]
            known = sum(_end(other) <= _ready(trial) for other in trials)
            stale.append(known - record.n_known)
    return Outcome(
        first_seconds=max(waits[trial.number] for trial in trials if trial not in later),
        seconds=waited / max(len(later), 1),
        waiting=waited / max(waited + lengths, 1e-9),
        models=len(stale) / max(len(later), 1),
        stale=fmean(stale or [0]),
        calls=50 * usage(study).calls / len(trials),
    )


def _begin(trial: FrozenTrial) -> float:
    assert trial.datetime_start is not None
    return trial.datetime_start.timestamp()


def _ready(trial: FrozenTrial) -> float:
    return datetime.fromisoformat(trial.user_attrs["ready"]).timestamp()


def _end(trial: FrozenTrial) -> float:
    assert trial.datetime_complete is not None
    return trial.datetime_complete.timestamp()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.waiting",
        "Measure how long trials wait for a slow model, and how many trials have finished since\n"
        "the model was asked when its advice is used.",
        takes="as long as its longest study: 50 minutes with the defaults; hardly any CPU",
    )
    add = parser.add_argument
    add("--trial-seconds", nargs="+", type=float, default=[0, 1, 10, 60], help="of each trial")
    add("--call-seconds", nargs="+", type=float, default=[2, 20], help="of each answer")
    add("--workers", nargs="+", type=positive, default=[1, 8], help="threads of one process")
    add("--trials", type=positive, default=50, help="trials per study and worker, at most")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cases = list(product(args.trial_seconds, args.call_seconds, args.workers))
    head = "trial, s|call, s|workers|first wait, s|later waits, s|waiting|model's|stale|calls"
    print(f"| {head.replace('|', ' | ')} |\n{'|---' * (head.count('|') + 1)}|")
    with ThreadPoolExecutor(len(cases)) as pool:
        sizes = [args.trials * workers for _, _, workers in cases]
        futures = [pool.submit(run, *case, n) for case, n in zip(cases, sizes, strict=True)]
        for case, future in zip(cases, futures, strict=True):
            found = future.result()
            cells = [
                *(f"{number:g}" for number in case),
                f"{found.first_seconds:.1f}",
                f"{found.seconds:.2f}",
                f"{found.waiting:.1%}",
                f"{found.models:.0%}",
                f"{found.stale:.1f}",
                f"{found.calls:.0f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
