"""Run the comparison, or what of it is missing, and print the table.

``python -m benchmarks.regret --tasks hpobench hpolib --samplers tpe "ours-tpe(0.5b)" --seeds 10``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
import sys

from tqdm import tqdm

from benchmarks.tasks import load
from benchmarks.tasks import names

from .report import markdown
from .report import plot
from .report import shared
from .samplers import is_numeric
from .samplers import SAMPLERS
from .study import NotRecorded
from .study import read
from .study import run_study
from .study import write


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["hpobench", "hpolib", "nasbench201"])
    parser.add_argument(
        "--samplers", nargs="+", default=["random", "tpe", "tpe+default", "ours(0.5b)"]
    )
    parser.add_argument("--seeds", type=int, default=10, help="repetitions of each pair")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--failing", action="store_true", help="half of each space fails")
    parser.add_argument("--out", type=Path, default=Path("runs/regret.csv"))
    parser.add_argument("--plot", type=Path, help="where the plot goes")
    parser.add_argument("--report-only", action="store_true")
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
        for sampler in args.samplers
        if sampler != "cmaes" or is_numeric(load(task))
    ]


def run(todo: list[tuple[str, str, int]], args: argparse.Namespace) -> Iterator[str]:
    """Run studies and keep their rows; yield what went wrong with each, or nothing."""
    for task, sampler, seed in tqdm(todo, unit="study", mininterval=5.0):
        try:
            write(args.out, run_study(task, sampler, seed, args.trials))
            yield ""
        except NotRecorded as error:
            yield str(error)


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    unknown = set(args.samplers) - set(SAMPLERS)
    if unknown:
        print(f"unknown samplers {sorted(unknown)}; there are {', '.join(SAMPLERS)}")
        return 2
    done = {(r.task, r.sampler, r.seed) for r in read(args.out) if r.n >= args.trials}
    todo = [] if args.report_only else [pair for pair in pairs(args) if pair not in done]
    missing = [problem for problem in run(todo, args) if problem]
    rows = [row for row in read(args.out) if row.sampler in args.samplers]
    rows = shared([row for row in rows if row.task.startswith(tuple(args.tasks))])
    print(markdown(rows))
    plot(rows, args.plot or args.out.with_suffix(".png"))
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
