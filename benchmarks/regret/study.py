"""One study of one sampler on one task: a row per trial, kept in a file that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
import csv
from dataclasses import asdict, dataclass, fields
import lzma
import math
from pathlib import Path
import time
import warnings

import optuna
from optuna.trial import TrialState

from benchmarks.tasks import load, Task
from optuna_llm_sampler import usage

from .endpoint import Endpoint
from .samplers import asks_beside_the_default, first_point, maker_of, Run


@dataclass(frozen=True)
class Row:
    """One trial.

    Attributes:
        task, sampler, seed:
            Which study.
        n:
            Number of trials so far, this one included.
        value:
            What the objective returned; lower is better. Not a number: the trial failed.
        regret:
            Normalised regret of the best trial so far, in [0, 1].
        source:
            Whose parameters these were, ``""`` for other samplers.
        sampler_seconds:
            Time spent in the sampler so far, waiting for the model included.
        calls, tokens:
            Requests to the model and tokens in and out, of the whole study.
    """

    task: str
    sampler: str
    seed: int
    n: int
    value: float
    regret: float
    source: str
    sampler_seconds: float
    calls: int
    tokens: int


class NotRecorded(Exception):
    """A model is asked what it has not been asked before; the prompt may have changed."""


COLUMNS = [field.name for field in fields(Row)]


def run_study(
    task_name: str, sampler: str, seed: int, n_trials: int, endpoint: Endpoint | None = None
) -> list[Row]:
    """Run one study and return its trials.

    Raises:
        NotRecorded: A request has no recorded answer.
    """
    return run_task(load(task_name), sampler, seed, n_trials, endpoint)


def run_task(
    task: Task,
    sampler: str,
    seed: int,
    n_trials: int,
    endpoint: Endpoint | None = None,
    failures: tuple[type[Exception], ...] = (MemoryError,),
) -> list[Row]:
    """Run one study of a task that need not have a name here; exceptions fail the trial.

    Raises:
        NotRecorded: A request has no recorded answer.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    run = Run(task, seed, endpoint=endpoint or Endpoint())
    study = optuna.create_study(sampler=maker_of(sampler)(run))
    if (first := first_point(run, sampler)) is not None:
        study.enqueue_trial(first)
    seconds = []
    for _ in range(n_trials):
        start = time.perf_counter()
        trial = study.ask()
        params = task.suggest_params(trial)
        seconds.append(time.perf_counter() - start)
        if trial.number == 0 and asks_beside_the_default(sampler):
            _wait_for_advice(study)
        try:
            value = task.objective(params)
        except failures:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, value)
    if run.misses:
        raise NotRecorded(f"{sampler} has no recorded answer for {task.name}, seed {seed}.")
    return list(_rows(study, task, sampler, seed, seconds))


def _wait_for_advice(study: optuna.Study) -> None:
    """Let the first trial last as long as the model's answer takes, which is asked meanwhile.

    A table answers at once; then whether the question shows the first trial's value is chance.
    """
    deadline = time.monotonic() + 30.0
    while not usage(study).calls and time.monotonic() < deadline:
        time.sleep(0.005)


def _rows(
    study: optuna.Study, task: Task, sampler: str, seed: int, seconds: list[float]
) -> Iterator[Row]:
    used = usage(study)
    best, spent = math.inf, 0.0
    for n, (trial, step) in enumerate(zip(study.trials, seconds, strict=True), 1):
        value = math.nan if trial.value is None else trial.value
        best, spent = min(best, math.inf if math.isnan(value) else value), spent + step
        yield Row(
            task=task.name,
            sampler=sampler,
            seed=seed,
            n=n,
            value=value,
            regret=round(task.normalised_regret(best), 6),
            source=str(trial.user_attrs.get("llm_source", "")),
            sampler_seconds=round(spent, 3),
            calls=used.calls,
            tokens=(used.input_tokens or 0) + (used.output_tokens or 0),
        )


def write(path: Path, rows: list[Row]) -> None:
    """Append the rows of one study in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read(path: Path) -> list[Row]:
    """Read every complete row; a file that ends in ``.xz`` is compressed."""
    if not path.exists():
        return []
    kinds = {"seed": int, "n": int, "calls": int, "tokens": int}
    kinds.update(dict.fromkeys(("value", "regret", "sampler_seconds"), float))  # type: ignore[arg-type]
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", newline="") as file:
        return [
            Row(**{key: kinds.get(key, str)(text) for key, text in line.items()})  # type: ignore[arg-type]
            for line in csv.DictReader(file)
            if None not in line.values()
        ]
