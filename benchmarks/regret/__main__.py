"""Run the comparison, or what of it is missing, and print the table.

``python -m benchmarks.regret --tasks hpobench hpolib --samplers tpe "ours-tpe(0.5b)" --seeds 10``
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
import sys

from tqdm import tqdm

from benchmarks._help import parser as help_parser, positive
from benchmarks.tasks import load, names

from .endpoint import Endpoint
from .report import markdown, plot, shared
from .samplers import is_numeric, maker_of, SAMPLERS
from .study import NotRecorded, read, Row, run_study, write


_SAMPLERS = ("random", "tpe", "tpe+default", "ours(0.5b)")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.regret",
        "Run the comparison of samplers on tables of real trainings, or what of it is missing,\n"
        "and print the table. Needs no weights: the models' answers are recorded.\n\n"
        '  python -m benchmarks.regret --tasks hpobench hpolib --samplers tpe "ours(0.5b)"',
        takes="per sampler with the defaults (15 tables, 10 seeds, 50 trials), on one core: a "
        "minute\nfor tpe, 15 minutes for base and ours, an hour for gp; sklearn and conditional "
        "train for\nreal and take longer",
    )
    add = parser.add_argument
    add(
        "--tasks",
        nargs="+",
        default=["hpobench", "hpolib", "nasbench201"],
        help="names or their beginnings; also sklearn and conditional",
    )
    add(
        "--samplers",
        nargs="+",
        metavar="SAMPLER",
        help=f"default: {' '.join(_SAMPLERS)}; with --report-only, all in the file. There are: "
        f"{', '.join(SAMPLERS)}",
    )
    add("--seeds", type=positive, default=10, help="repetitions of each pair")
    add("--first-seed", type=int, default=0, help="seed of the first repetition")
    add("--trials", type=positive, default=50, help="trials of each study")
    add("--base-url", default="", help="endpoint of the models called openai/NAME")
    add("--record", type=Path, help="where their answers are kept and looked for first")
    add(
        "--model-per-study",
        action="store_true",
        help="each study asks a model of its own name: NAME-TASK-SEED",
    )
    add("--jobs", type=positive, default=1, help="studies that run at the same time")
    add("--failing", action="store_true", help="half of each space fails")
    add("--out", type=Path, default=Path("runs/regret.csv"), help="where the trials are kept")
    add("--plot", type=Path, help="also draw the regrets, into this file")
    add(
        "--report-only",
        action="store_true",
        help="run nothing: print what is in --out, which may end in .xz",
    )
    return parser.parse_args(arguments)


def pairs(args: argparse.Namespace) -> list[tuple[str, str, int]]:
    """Every (task, sampler, seed) that is asked for and makes sense."""
    known = [n for n in names() if n.startswith(tuple(args.tasks))]
    tasks = [task + "!memory" * args.failing for task in known]
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    return [
        (task, sampler, seed)
        for seed in seeds
        for task in tasks
        for sampler in args.samplers or _SAMPLERS
        if sampler != "cmaes" or is_numeric(load(task))
    ]


def run(todo: list[tuple[str, str, int]], args: argparse.Namespace) -> Iterator[str]:
    """Run studies and keep their rows; yield what went wrong with each, or nothing."""
    endpoint = Endpoint(args.base_url, args.record, args.model_per_study)
    calls = [partial(run_study, *pair, args.trials, endpoint) for pair in todo]
    for result in tqdm(_results(calls, args.jobs), total=len(todo), unit="study", mininterval=5.0):
        try:
            write(args.out, result())
            yield ""
        except NotRecorded as error:
            yield str(error)


def _results(
    calls: Sequence[Callable[[], list[Row]]], n_jobs: int
) -> Iterator[Callable[[], list[Row]]]:
    """Yield what returns the rows of each study, in the order in which they end."""
    if n_jobs == 1:
        yield from calls
        return
    with ProcessPoolExecutor(n_jobs, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(call) for call in calls]):
            yield future.result


def groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Put samplers together that have run the same pairs to as many trials, most trials first."""
    longest: dict[str, dict[tuple[str, int], int]] = defaultdict(dict)
    for row in rows:
        longest[row.sampler][row.task, row.seed] = row.n
    by_run = defaultdict(set)
    for sampler, pairs in longest.items():
        by_run[frozenset(pairs), min(pairs.values())].add(sampler)
    order = sorted(by_run, key=lambda run: len(run[0]) * run[1], reverse=True)
    return [[row for row in rows if row.sampler in by_run[run]] for run in order]


def chosen(args: argparse.Namespace) -> list[list[Row]]:
    """Return the rows of each table that is asked for."""
    rows = [row for row in read(args.out) if row.task.startswith(tuple(args.tasks))]
    if args.report_only and not args.samplers:
        return [shared(group) for group in groups(rows)]
    return [shared([row for row in rows if row.sampler in (args.samplers or _SAMPLERS)])]


def problem(args: argparse.Namespace) -> str:
    """Say what is wrong with the arguments."""
    for name in args.samplers or ():
        try:
            maker_of(name)
        except ValueError as error:
            return f"{error} There are {', '.join(SAMPLERS)}, and ours(openai/NAME)."
    if unknown := {task for task in args.tasks if not any(n.startswith(task) for n in names())}:
        return f"unknown tasks {sorted(unknown)}; there are {', '.join(names())}"
    if args.report_only and not args.out.is_file():
        return f"there is no file {args.out}"
    if args.out.suffix == ".xz" and not args.report_only:
        return f"nothing can be added to {args.out}; it can be read with --report-only"
    return ""


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    if wrong := problem(args):
        print(f"error: {wrong}", file=sys.stderr)
        return 2
    done = {(r.task, r.sampler, r.seed) for r in read(args.out) if r.n >= args.trials}
    todo = [] if args.report_only else [pair for pair in pairs(args) if pair not in done]
    missing = [text for text in run(todo, args) if text]
    tables = chosen(args)
    print("\n\n".join(map(markdown, tables)))
    if args.plot:
        plot([row for rows in tables for row in rows], args.plot)
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
