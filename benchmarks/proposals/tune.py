"""Tune on proposed spaces and on the authors': ``python -m benchmarks.proposals.tune``.

Six fresh tasks. Left out are fresh-kernel, which cannot have more than 11 components, and
fresh-forecast, which takes a history longer than its data for another one and does not fail.

The task in words and the names of its parameters (``functions.py``) are all that the model which
proposes a space is told. Then the same samplers tune on both spaces, with the same seeds and the
same description of the task. What the objective cannot take is a failed trial. A parameter that
the proposal leaves out keeps the expert's default.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
import math
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
import sys
from typing import Any

from benchmarks._help import parser as help_parser, positive
from benchmarks.regret.endpoint import Endpoint
from benchmarks.regret.report import cells, mean_and_error
from benchmarks.regret.study import NotRecorded, read, Row, run_task, write
from benchmarks.tasks import load, Task
from optuna_llm_sampler import propose_space, ProposedSpace
from optuna_llm_sampler._proposal.like import in_words
from optuna_llm_sampler.errors import OptunaLLMError, ReplayMissError

from .functions import FUNCTIONS, words_of


PROPOSED = "!proposed"
_RECORD = Path(__file__).with_name("tuned.jsonl")
_CONTROLS = ("base", "tpe", "base+default", "tpe+default")
_MARKS = (5, 10, 20)


def proposal(name: str, model: str, endpoint: Endpoint) -> ProposedSpace:
    """Ask for the space of a task.

    Raises:
        NotRecorded: There is neither an endpoint nor a recorded answer.
        OptunaLLMError: There is no usable answer.
    """
    misses: list[ReplayMissError] = []
    llm = endpoint.model(model, f"{name}{PROPOSED}", misses)
    function = FUNCTIONS[name]
    try:
        return propose_space(words_of(function), like=function, llm=llm, timeout=7200.0)
    except OptunaLLMError:
        if misses:
            raise NotRecorded(f"No space is recorded for {name}.") from None
        raise


def with_space(task: Task, found: ProposedSpace) -> Task:
    """Return a task that is tuned on a proposed space; its scale stays."""
    fixed = {n: value for n, value in task.defaults.items() if n not in found.space}

    def objective(params: dict[str, Any]) -> float:
        return task.objective({**fixed, **params})

    return replace(
        task,
        name=task.name + PROPOSED,
        search_space=dict(found.space),
        objective=objective,
        defaults=found.defaults,
        suggest=found.suggest,
        conditions=found.conditions or None,
    )


def run(
    name: str, sampler: str, seed: int, n_trials: int, model: str, endpoint: Endpoint
) -> list[Row]:
    """Run one study; return its trials.

    Raises:
        NotRecorded: A request has no recorded answer.
    """
    task = load(name.removesuffix(PROPOSED))
    if name.endswith(PROPOSED):
        task = with_space(task, proposal(task.name, model, endpoint))
        return run_task(task, sampler, seed, n_trials, endpoint, failures=(Exception,))
    try:  # with the answers of benchmarks.regret: there, the model was asked the same
        return run_task(task, sampler, seed, n_trials)
    except NotRecorded:
        return run_task(task, sampler, seed, n_trials, endpoint)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.proposals.tune",
        "Tune six tasks on the space that a model proposes for the task in words, and on the\n"
        "space that the task's author wrote. Without --base-url, the model's recorded answers.",
        takes="an hour on one core without a model; with --control-seeds 2, half of it",
    )
    add = parser.add_argument
    add("--llm", default="openai/frontier", help="the model, as openai/NAME")
    add("--base-url", default="", help="its endpoint; without it, only recorded answers")
    add("--record", type=Path, default=_RECORD, help="where answers are kept and looked for first")
    add(
        "--model-per-study",
        action="store_true",
        help="each study asks a model of its own name, which does not tell the task",
    )
    add("--tasks", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS), help="which tasks")
    add("--seeds", type=positive, default=2, help="studies of the model per task and space")
    add("--control-seeds", type=positive, default=5, help="studies of each other sampler")
    add("--trials", type=positive, default=20, help="trials of each study")
    add("--jobs", type=positive, default=1, help="studies that run at the same time")
    add("--out", type=Path, default=Path("runs/tuned.csv"), help="where the trials are kept")
    add("--spaces-only", action="store_true", help="ask for the spaces, print them, and end")
    add("--report-only", action="store_true", help="run nothing: print what is in --out")
    args = parser.parse_args(arguments)
    if not args.llm.startswith("openai/"):
        parser.error(f"--llm must be openai/NAME, not {args.llm}")
    return args


def main(arguments: Sequence[str]) -> int:
    """Run what is missing and print the tables; return 1 if something cannot be run."""
    args = parse(arguments)
    model = args.llm.removeprefix("openai/")
    endpoint = Endpoint(args.base_url, args.record, args.model_per_study)
    missing = [] if args.report_only else _run_all(args, model, endpoint)
    for text in missing:
        print(f"error: {text}", file=sys.stderr)
    rows = [row for row in read(args.out) if row.task.removesuffix(PROPOSED) in args.tasks]
    if rows and not args.spaces_only:
        print(report(rows))
    return 1 if missing else 0


def _run_all(args: argparse.Namespace, model: str, endpoint: Endpoint) -> list[str]:
    """Return what went wrong."""
    missing, usable = [], []
    # Before all studies, so that no two of them ask for the same space.
    with ThreadPoolExecutor(args.jobs) as threads:
        asked = {name: threads.submit(proposal, name, model, endpoint) for name in args.tasks}
    for name, answer in asked.items():
        try:
            found = answer.result()
        except (NotRecorded, OptunaLLMError) as error:
            missing.append(f"{name}: {error}")
        else:
            usable.append(name)
            print(describe(load(name), found), flush=True)
    if args.spaces_only:
        return missing
    done = {(row.task, row.sampler, row.seed) for row in read(args.out) if row.n >= args.trials}
    todo = [
        (f"{name}{space}", sampler, seed)
        for sampler, n_seeds in [
            (f"ours({args.llm})", args.seeds),
            *((control, args.control_seeds) for control in _CONTROLS),
        ]
        for seed in range(n_seeds)
        for name in usable
        for space in (PROPOSED, "")
        if (f"{name}{space}", sampler, seed) not in done
    ]
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        started = [pool.submit(run, *study, args.trials, model, endpoint) for study in todo]
        for future in as_completed(started):
            try:
                write(args.out, future.result())
            except NotRecorded as error:
                missing.append(str(error))
    return missing


def describe(task: Task, found: ProposedSpace) -> str:
    """Return a proposed space beside the author's, as a Markdown table."""
    lines = [f"\n**{task.name}**\n", "| parameter | proposed | author's |", "|---|---|---|"]
    for name, own in task.search_space.items():
        given = in_words(found.space[name]) if name in found.space else "left out"
        lines.append(f"| `{name}` | {given} | {in_words(own)} |")
    own_conditions = (task.conditions or {}).items()
    conditions = {n: {p: tuple(vs) for p, vs in c.items()} for n, c in own_conditions}
    if other := [n for n in found.space if found.conditions.get(n, {}) != conditions.get(n, {})]:
        lines.append(f"\nOther conditions than the author's: {', '.join(other)}.")
    if found.note:
        lines.append(f"\nNote: {found.note}")
    return "\n".join(lines)


def report(rows: Sequence[Row]) -> str:
    """Return the tables: means over tasks, each task, and what failed; of complete pairs."""
    rows = _on_both(rows)
    if not rows:
        return "No study has run on both spaces."
    spaces = {
        "proposed": [row for row in rows if row.task.endswith(PROPOSED)],
        "author's": [row for row in rows if not row.task.endswith(PROPOSED)],
    }
    samplers = list(dict.fromkeys(row.sampler for row in rows))
    marks = [n for n in _MARKS if n <= max(row.n for row in rows)]
    head = f"| sampler | pairs | space | {' | '.join(f'n={n}' for n in marks)} | failed trials |"
    lines = ["\nMean regret ± standard error over tasks:\n", head, "|---" * (len(marks) + 4) + "|"]
    for sampler in samplers:
        for space, its_rows in spaces.items():
            mine = [row for row in its_rows if row.sampler == sampler]
            found = cells(mine)
            texts = [
                "{:.3f} ± {:.3f}".format(*mean_and_error(found[sampler, n]))
                for n in marks
                if (sampler, n) in found
            ]
            if len(texts) == len(marks):
                failed = sum(math.isnan(row.value) for row in mine)
                cell = " | ".join(texts)
                pairs = len({(row.task, row.seed) for row in mine})
                lines.append(
                    f"| {sampler} | {pairs} | {space} | {cell} | {failed} of {len(mine)} |"
                )
    lines += ["", *_by_task(rows, samplers, marks[-1])]
    return "\n".join(lines)


def _on_both(rows: Sequence[Row]) -> list[Row]:
    """Leave out studies that have run on one of the two spaces only."""
    runs = {(row.task, row.sampler, row.seed) for row in rows}

    def is_on_both(row: Row) -> bool:
        name = row.task.removesuffix(PROPOSED)
        return all((task, row.sampler, row.seed) in runs for task in (name, name + PROPOSED))

    return [row for row in rows if is_on_both(row)]


def _by_task(rows: Sequence[Row], samplers: Sequence[str], mark: int) -> Iterator[str]:
    """Yield a table of each task: regret on the proposed space, and on the author's."""
    yield f"Regret after {mark} trials, proposed space / author's space:\n"
    yield f"| task | {' | '.join(samplers)} | better than the optimum known |"
    yield "|---" * (len(samplers) + 2) + "|"
    for name in dict.fromkeys(row.task.removesuffix(PROPOSED) for row in rows):
        texts = []
        for sampler in samplers:
            pair = []
            for task in (name + PROPOSED, name):
                last = [
                    row.regret
                    for row in rows
                    if (row.task, row.sampler, row.n) == (task, sampler, mark)
                ]
                pair.append(f"{fmean(last):.3f}" if last else "–")
            texts.append(" / ".join(pair))
        optimum = load(name).optimum
        beyond = sum(row.value < optimum for row in rows if row.task == name + PROPOSED)
        yield f"| {name} | {' | '.join(texts)} | {beyond} trials |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
