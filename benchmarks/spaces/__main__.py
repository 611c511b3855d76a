"""Run the problems and print the tables; see the package's docstring."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
import os
from statistics import mean, stdev
import sys
import warnings

import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from benchmarks._help import parser as help_parser, positive
from optuna_llm_sampler import DefaultBaseSampler, LLMSampler, LocalLLM
from optuna_llm_sampler.llms import LLM

from . import intents, trade_off as two
from .problems import best_so_far, Problem, PROBLEMS


_CHECKPOINTS = (1, 3, 5, 10, 15, 20, 30)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.spaces",
        "Run spaces and studies beyond the ordinary with the sampler and a real local model, and\n"
        "with its base sampler alone, and print a table for each.",
        takes="5 minutes per seed of conditional, on two cores shared with other programs; the\n"
        "others were not timed",
    )
    add = parser.add_argument
    add(
        "problems",
        nargs="+",
        metavar="PROBLEM",
        choices=[*PROBLEMS, "trade-off", "transfer"],
        help="%(choices)s",
    )
    add("--seeds", type=positive, default=5, help="repetitions")
    add("--trials", type=positive, default=20, help="trials of each study")
    add("--model", help="local model, by name or path; default: LocalLLM's")
    add("--data", default="corpus", help="transfer: folder with the train.csv of Banking77")
    return parser.parse_args(arguments)


def run(problem: Problem, sampler: BaseSampler, n: int) -> Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(problem.objective, n_trials=n, catch=(MemoryError,))
    return study


def compare(problem: Problem, llm: LLM, args: argparse.Namespace) -> None:
    """Print the sampler against its own base sampler, with the same seeds."""
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "base sampler": lambda seed: DefaultBaseSampler(seed=seed),
        "with the model": lambda seed: LLMSampler(
            llm,
            task=problem.task,
            search_space=problem.space,
            conditions=problem.conditions or None,
            timeout=600,
            seed=seed,
        ),
    }
    studies = {
        name: [run(problem, make(seed), args.trials).trials for seed in range(args.seeds)]
        for name, make in makers.items()
    }
    _table("best error so far", _errors(studies), args.trials)
    for name, runs in studies.items():
        trials = [trial for run in runs for trial in run]
        _say(name, trials, problem.branch)


def _say(name: str, trials: Sequence[FrozenTrial], branch: str) -> None:
    states = Counter(trial.state.name for trial in trials)
    infeasible = sum(any(a > 0 for a in trial.constraints.values()) for trial in trials)
    models = [t for t in trials if t.user_attrs.get("llm_source") == "llm"]
    said = f"{name}: {len(trials)} trials, {states['FAIL']} failed, {infeasible} infeasible"
    if models:
        base = sum("llm_from_base" in trial.user_attrs for trial in models)
        said += f"; {len(models)} of the model, {base} of them completed by the base sampler"
        failed = sum(trial.state.name == "FAIL" for trial in models)
        broken = sum(any(a > 0 for a in trial.constraints.values()) for trial in models)
        said += f"; of the model's, {failed} failed, {broken} infeasible"
    if models and branch:
        counts = Counter(str(trial.params[branch]) for trial in models)
        said += "; by branch: " + ", ".join(f"{k} {n}" for k, n in counts.items())
    print(f"\n{said}.", flush=True)


def transfer(llm: LLM, args: argparse.Namespace) -> None:
    """Print a study of other intents with and without an earlier one."""
    earlier = optuna.create_study(study_name="first intents", sampler=TPESampler(seed=0))
    earlier.set_metric_names(["error"])
    earlier.optimize(intents.objective(args.data, 0), n_trials=30)
    print(f"\nearlier study: best error {earlier.best_value:.4f} with {earlier.best_params}")
    known = {"task": intents.TASK, "search_space": intents.SPACE, "timeout": 600.0}
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "base sampler": lambda seed: DefaultBaseSampler(seed=seed),
        "with the model": lambda seed: LLMSampler(llm, seed=seed, **known),  # type: ignore[arg-type]
        "with the model and history=": lambda seed: LLMSampler(
            llm,
            seed=seed,
            history=[earlier],
            **known,  # type: ignore[arg-type]
        ),
    }
    problem = Problem(intents.TASK, intents.SPACE, intents.objective(args.data, 1))
    studies = {
        name: [run(problem, make(seed), args.trials).trials for seed in range(args.seeds)]
        for name, make in makers.items()
    }
    _table("best error so far", _errors(studies), args.trials)


def trade_off(llm: LLM, args: argparse.Namespace) -> None:
    """Print the hypervolume of accuracy and training time."""
    trained = two.objective()
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "base sampler": lambda seed: DefaultBaseSampler(seed=seed),
        "with the model": lambda seed: LLMSampler(
            llm, task=trained.task, search_space=trained.space, timeout=600, seed=seed
        ),
    }
    studies = {
        name: [two.run(trained, make(seed), args.trials) for seed in range(args.seeds)]
        for name, make in makers.items()
    }
    longest = max(t.values[1] for runs in studies.values() for run in runs for t in run)
    curves = {
        name: [two.volumes(trials, longest) for trials in runs] for name, runs in studies.items()
    }
    _table("hypervolume", curves, args.trials)


def _errors(studies: dict[str, list[list[FrozenTrial]]]) -> dict[str, list[list[float]]]:
    return {name: [best_so_far(trials) for trials in runs] for name, runs in studies.items()}


def _table(what: str, rows: dict[str, list[list[float]]], n_trials: int) -> None:
    points = [n for n in _CHECKPOINTS if n <= n_trials]
    print(f"\n| {what} | " + " | ".join(f"trial {n}" for n in points) + " |")
    print("|" + "---|" * (len(points) + 1))
    for name, curves in rows.items():
        cells = []
        for n in points:
            values = [curve[n - 1] for curve in curves]
            spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.4f}{spread}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    llm = LocalLLM(args.model)
    for name in args.problems:
        print(f"\n## {name} ({args.seeds} seeds, {llm.name})", flush=True)
        if name == "transfer":
            transfer(llm, args)
        elif name == "trade-off":
            trade_off(llm, args)
        else:
            compare(PROBLEMS[name](), llm, args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
