"""What many workers on one study cost: ``python -m benchmarks.scale``.

Runs the same study with bare Optuna samplers and with :class:`~optuna_llm_sampler.LLMSampler` on
top of them, on a real PostgreSQL (out of a wheel, or ``--storage URL``), for each combination of
workers, existing trials and model latency. The model is made of nothing but its latency.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
import json
import multiprocessing
from multiprocessing.queues import Queue
from pathlib import Path
import random
import statistics
import tempfile
import time
import uuid

import optuna
from optuna.study import Study
from optuna.trial import create_trial, FrozenTrial, TrialState
from rich.console import Console
from rich.progress import Progress

from optuna_llm_sampler import usage

from ._help import parser as help_parser, positive
from ._postgres import embedded_postgres, PRELOAD
from ._rows import fill
from ._scale_worker import BASES, Cell, open_database, random_params, Report, SPACE, work


# A GP fits a matrix of all trials: seconds a trial from a few hundred on.
GP_MAX_EXISTING = 100
GP_MAX_WORKERS = 2


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        rate:
            Trials per second, from when the last trial that waited for the model has stopped to,
            while all workers are busy.
        sql, cpu_ms:
            Per trial: statements, and processor time of the workers.
        calls:
            To the model, in all.
        from_model:
            Trials with the model's parameters.
        twice:
            Configurations of the model that two trials have.
        waits:
            Trials that waited for the model.
        longest:
            Longest time that one spent with its sampler, in seconds.
        errors:
            Trials that did not complete, and workers that did not end well.
    """

    rate: float
    sql: float
    cpu_ms: float
    calls: int
    from_model: int
    twice: int
    waits: int
    longest: float
    errors: int


# --- one study ------------------------------------------------------------------------------


def measure(cell: Cell, url: str) -> Result:
    """Run one study with worker processes."""
    storage = open_database(url)
    name = f"scale-{uuid.uuid4().hex[:8]}"
    study = optuna.create_study(storage=storage, study_name=name)
    fill(storage, study._study_id, _past(cell.existing))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks._scale_worker", *PRELOAD])
    ready, tickets = context.Barrier(cell.workers + 1), context.Semaphore(cell.trials)
    out: Queue[Report] = context.Queue()
    args = (cell, url, name, ready, tickets, out)
    processes = [context.Process(target=work, args=args) for _ in range(cell.workers)]
    try:
        for process in processes:
            process.start()
        ready.wait(600)
        start = time.time()
        reports = [out.get(timeout=600) for _ in processes]
        for process in processes:
            process.join(60)
        return _result(cell, study, start, reports, [p.exitcode for p in processes])
    finally:
        for process in processes:
            process.kill()
            process.join()
        storage.remove_session()
        storage.engine.dispose()


def _past(n: int) -> list[FrozenTrial]:
    rng = random.Random(0)
    return [
        create_trial(params=random_params(rng), distributions=SPACE, value=rng.random())
        for _ in range(n)
    ]


def _result(
    cell: Cell, study: Study, start: float, reports: Sequence[Report], codes: Sequence[int | None]
) -> Result:
    trials = study.get_trials(deepcopy=False)[cell.existing :]
    timings = [timing for report in reports for timing in report.timings]
    begin = max([start, *(timing.until for timing in timings if timing.waited)])
    ends = [t.datetime_complete.timestamp() for t in trials if t.datetime_complete]
    # Without the first trial of each worker, which all end late, and the last, when some are idle.
    begin += cell.seconds
    end = max(ends, default=begin) - 2 * cell.seconds
    late = [moment for moment in ends if begin < moment <= end]
    mine = [t for t in trials if t.user_attrs.get("llm_source") == "llm"]
    n = max(len(trials), 1)
    return Result(
        rate=len(late) / (end - begin) if late else float("nan"),
        sql=sum(report.sql for report in reports) / n,
        cpu_ms=1e3 * sum(report.cpu_seconds for report in reports) / n,
        calls=usage(study).calls,
        from_model=len(mine),
        twice=len(mine) - len({str(t.params) for t in mine}),
        waits=sum(timing.waited for timing in timings),
        longest=max((timing.seconds for timing in timings), default=0.0),
        errors=sum(t.state != TrialState.COMPLETE for t in trials) + sum(map(bool, codes)),
    )


def middle(results: Sequence[Result]) -> Result:
    """Return the run of median rate, with the defects of all."""
    found = sorted(results, key=lambda result: result.rate)[len(results) // 2]
    return replace(
        found,
        twice=max(result.twice for result in results),
        longest=max(result.longest for result in results),
        errors=sum(result.errors for result in results),
    )


# --- all of them ----------------------------------------------------------------------------


def cells(args: argparse.Namespace) -> list[Cell]:
    """Return the studies of a run, bare samplers before those with the model."""
    found: dict[Cell, None] = {}
    for workers in args.workers:
        for existing in args.existing:
            for sampler in args.samplers:
                base = sampler.removeprefix("llm+")
                if base == "gp" and (existing > GP_MAX_EXISTING or workers > GP_MAX_WORKERS):
                    continue
                trials = max(args.per_worker * workers, args.at_least)
                for latency in args.latency if base != sampler else [0.0]:
                    cell = Cell(sampler, workers, existing, latency, args.seconds, trials)
                    found[cell.base] = None
                    found[cell] = None
    return list(found)


def table(results: dict[Cell, Result]) -> str:
    """Write all results as Markdown."""
    head = (
        "workers | existing | trial s | sampler | latency s | trials/s | ratio | SQL/trial | "
        "CPU ms/trial | calls/100 | from model | twice | waits | longest s | errors"
    )
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    for cell, result in results.items():
        base = results.get(cell.base)
        bare = cell == cell.base
        ratio = "" if bare or base is None else f"{result.rate / base.rate:.2f}"
        row = [
            cell.workers,
            cell.existing,
            f"{cell.seconds:g}",
            cell.sampler,
            "" if bare else f"{cell.latency:g}",
            f"{result.rate:.2f}",
            ratio,
            f"{result.sql:.1f}",
            f"{result.cpu_ms:.0f}",
            "" if bare else f"{100 * result.calls / cell.trials:.1f}",
            "" if bare else f"{result.from_model}/{cell.trials}",
            "" if bare else result.twice,
            "" if bare else result.waits,
            "" if bare else f"{result.longest:.1f}",
            result.errors,
        ]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines) + "\n"


def plot(results: dict[Cell, Result], path: Path) -> None:
    """Draw the rate relative to the base sampler's, and the processor time, by workers."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5))
    for axis, what in zip(axes, ("ratio", "cpu_ms"), strict=True):
        for label, points in sorted(_lines(results, what).items()):
            axis.plot([x for x, _ in points], [y for _, y in points], marker="o", label=label)
        axis.set_xscale("log", base=2)
        axis.set_xlabel("workers")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("trials/s ÷ the base sampler's alone")
    axes[0].axhline(1.0, color="black", linewidth=0.8)
    axes[1].set_ylabel("CPU ms per trial")
    axes[1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _lines(results: dict[Cell, Result], what: str) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, dict[int, list[float]]] = {}
    for cell, result in results.items():
        label = f"{cell.sampler}, {cell.existing} trials"
        if cell != cell.base:
            label += f", {cell.latency:g} s"
        elif what == "ratio":
            continue
        value = result.rate / results[cell.base].rate if what == "ratio" else result.cpu_ms
        found.setdefault(label, {}).setdefault(cell.workers, []).append(value)
    return {
        label: [(workers, statistics.median(values)) for workers, values in sorted(by.items())]
        for label, by in found.items()
    }


@contextmanager
def _server(url: str | None, connections: int) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="optuna-llm-") as folder,
        embedded_postgres(Path(folder) / "data", connections=connections) as embedded,
    ):
        yield embedded


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.scale",
        "Measure what many workers on one study cost, with bare samplers of Optuna and with\n"
        "LLMSampler on top of them, on a real PostgreSQL out of a wheel. The model is made of\n"
        "nothing but its latency.",
        takes="a few minutes with --quick (16 studies); all 122 studies take hours",
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes, on any machine")
    parser.add_argument("--storage", metavar="URL", help="PostgreSQL or MySQL of your own")
    parser.add_argument(
        "--workers", type=positive, nargs="+", default=[1, 2, 8, 16, 64], help="of a study"
    )
    parser.add_argument(
        "--existing", type=int, nargs="+", default=[0, 1_000, 10_000], help="trials before"
    )
    parser.add_argument(
        "--latency", type=float, nargs="+", default=[0.0, 2.0, 20.0], help="of the model, in s"
    )
    names = [*BASES, *(f"llm+{name}" for name in BASES)]
    default = ["random", "tpe", "gp", "llm+random", "llm+tpe"]
    parser.add_argument(
        "--samplers",
        nargs="+",
        choices=names,
        default=default,
        metavar="SAMPLER",
        help="of %(choices)s",
    )
    parser.add_argument("--per-worker", type=positive, default=25, help="trials per worker")
    parser.add_argument("--at-least", type=positive, default=50, help="trials per study")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="duration of the objective, in s"
    )
    parser.add_argument(
        "--repeat", type=positive, default=1, help="rounds of all studies; the median rate counts"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/scale"), help="folder of the results"
    )
    args = parser.parse_args(argv)
    if args.quick:
        args.workers, args.existing, args.latency = [1, 8], [0, 1_000], [0.0, 2.0]
        args.samplers, args.per_worker, args.at_least = ["random", "tpe", "llm+tpe"], 10, 40
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    args.out.mkdir(parents=True, exist_ok=True)
    runs: dict[Cell, list[Result]] = {}
    todo = cells(args) * args.repeat  # round by round, so that a busy machine is so for all
    console = Console()
    # A worker uses one connection, and two more while it calls the model.
    with (
        _server(args.storage, 3 * max(args.workers) + 20) as url,
        Progress(console=console) as progress,
    ):
        bar = progress.add_task("studies", total=len(todo))
        for cell in todo:
            progress.update(bar, description=f"{cell.sampler}, {cell.workers} workers")
            runs.setdefault(cell, []).append(measure(cell, url))
            results = {cell: middle(found) for cell, found in runs.items()}
            progress.advance(bar)
            rows = [{**asdict(c), **asdict(r)} for c, r in results.items()]
            (args.out / "results.json").write_text(json.dumps(rows, indent=1))
            (args.out / "table.md").write_text(table(results))
    plot(results, args.out / "scale.png")
    console.print(table(results), soft_wrap=True, markup=False)
    console.print(f"{args.out}/table.md, results.json, scale.png", markup=False)


if __name__ == "__main__":
    main()
