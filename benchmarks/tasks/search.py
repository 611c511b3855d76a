"""Finds the scale of the tasks that really train: ``python -m benchmarks.tasks.search [NAME]``.

A table knows its optimum; real training does not. So the median is taken from random
configurations, and the optimum is the lowest value among these and a TPE search that goes on from
them. The numbers are copied by hand into the modules of the tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
import sys

import optuna

from benchmarks._help import parser as help_parser

from . import load, names, table_names


N_RANDOM = 300
N_SEARCH = 200


def find_scale(name: str) -> tuple[float, float]:
    """Lowest value found, and the value of the median random configuration."""
    task = load(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(task.run, n_trials=N_RANDOM)
    typical = median(trial.values[0] for trial in study.trials)
    study.enqueue_trial(dict(task.defaults))
    study.sampler = optuna.samplers.TPESampler(seed=0, group=True, multivariate=True)
    study.optimize(task.run, n_trials=N_SEARCH)
    return study.best_value, typical


def main(arguments: Sequence[str]) -> None:
    """Print the scale of the named tasks, or of all that are not tables."""
    trained = names()[len(table_names()) :]
    parser = help_parser(
        "benchmarks.tasks.search",
        "Find the scale of tasks that train for real: the value of the median random\n"
        "configuration, and the lowest that a long search finds.",
        takes=f"{N_RANDOM + N_SEARCH} trainings per task",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"by default all of {', '.join(trained)}"
    )
    args = parser.parse_args(arguments)
    if unknown := set(args.names) - set(names()):
        parser.error(f"unknown tasks {sorted(unknown)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name in args.names or trained:
        low, typical = find_scale(name)
        print(f'    "{name}": ({low:.6g}, {typical:.6g}),', flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
