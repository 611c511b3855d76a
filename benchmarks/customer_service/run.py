"""One run of the main job, from the first look at the study to the line for machines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import sys
import time

import optuna
from optuna.storages import BaseStorage
from rich.console import Console
import torch

from optuna_llm_sampler.llms import LLM

from .ask import keep, propose
from .config import Config, DEFAULT_STUDY, UsageError
from .objective import Objective
from .ray_engine import run_ray
from .report import Bar, best_trial, finished, result_line, RIVALS, space_table, Summary
from .storage import connect, fitting_name, open_study, serve
from .workers import bury_orphans, Outcome, run_here, run_processes


def run(config: Config, args: argparse.Namespace) -> int:
    """Run trials, and show what came out.

    Args:
        config:
            The run. Its storage is as the user named it.
        args:
            The arguments of the command.

    Returns:
        The exit status.

    Raises:
        UsageError: Something that the user named cannot be used.
        OptunaLLMError: There is no such model, no key, or no weights.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with serve(config.storage, args.out) as url, connect(url) as storage:
        config = replace(config, storage=url)
        if not args.study:
            config = replace(config, study=fitting_name(config, storage))
        return _Run(config, storage, args).everything()


class _Run:
    """One run of the command."""

    def __init__(self, config: Config, storage: BaseStorage, args: argparse.Namespace) -> None:
        self._config = config
        self._storage = storage
        self._args = args
        self._console = Console()
        self._troubles: list[str] = []
        self._interrupted = False
        self._model = ""

    def everything(self) -> int:
        begin = time.monotonic()
        torch.set_num_threads(self._config.threads)
        self._model = prepare_model(self._config.llm)
        objective = Objective(self._config)
        proposed = None
        if self._config.ask:
            with self._console.status(f"{self._model} proposes a search space"):
                proposed = propose(self._config, self._storage, objective.space)
        # Only now: what cannot run leaves no study behind.
        study = open_study(self._config, self._storage)
        if proposed is not None:
            proposed = keep(study, proposed)
            objective.tune_in(proposed)
            self._config = replace(self._config, proposed=proposed)
            self._console.print(space_table(proposed))
        n_before = len(finished(study))
        self._console.print(
            f"{self._args.trials} trials by {self._args.workers} workers, study "
            f"{self._config.study!r} ({n_before} trials so far), model {self._model}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        if not self._args.study and self._config.study != DEFAULT_STUDY:
            self._console.print(
                f"The study {DEFAULT_STUDY!r} there is about another problem.", highlight=False
            )
        self._tune(self._config, study, objective, self._args.trials)
        rivals = self._compare(study, objective) if self._args.compare else {}
        summary = Summary(
            study=study,
            test_accuracy=self._test(study, objective),
            n_categories=objective.n_categories,
            usual=self._config.problem == Config(storage="").problem,
            seconds=time.monotonic() - begin,
            rivals=rivals,
        )
        return self._close(summary, n_before + self._args.trials)

    def _tune(
        self, config: Config, study: optuna.Study, objective: Objective, n_trials: int
    ) -> None:
        if self._interrupted or n_trials <= 0:
            return
        bury_orphans(study)
        waits_for = self._model if config.sampler == "llm" else "the sampler"
        with Bar(study, n_trials, self._console, waits_for=waits_for) as bar:
            outcome: Outcome
            n_workers = self._args.workers
            if self._args.engine == "ray":
                address = self._args.address
                outcome = run_ray(config, n_trials, n_workers, study, bar.tick, address=address)
            elif n_workers == 1:
                outcome = run_here(config, n_trials, objective, study, bar.tick)
            else:
                outcome = run_processes(config, n_trials, n_workers, study, bar.tick)
        self._troubles += outcome.troubles
        self._interrupted = outcome.interrupted

    def _compare(self, study: optuna.Study, objective: Objective) -> dict[str, optuna.Study]:
        """Give the other samplers as many trials as the study has by now, with the same seeds."""
        rivals: dict[str, optuna.Study] = {}
        if self._interrupted:
            return rivals
        for name, kind in RIVALS[len(self._config.directions)].items():
            config = replace(self._config, sampler=kind, study=f"{self._config.study}-{kind}")
            rivals[name] = open_study(config, self._storage)
            n_left = len(finished(study)) - len(finished(rivals[name]))
            self._tune(config, rivals[name], objective, n_left)
        return rivals

    def _test(self, study: optuna.Study, objective: Objective) -> float | None:
        best = best_trial(study)
        if best is None or self._interrupted:
            return None
        said = "training the best trial's model again, for the test"
        if not self._console.file.isatty():
            self._console.print(said)
            return objective.test_accuracy(best.params)
        with self._console.status(said):
            return objective.test_accuracy(best.params)

    def _plot(self, summary: Summary) -> None:
        try:
            for path in summary.plot(self._args.out):
                self._console.print(f"plot: {path}", markup=False)
        except Exception as error:  # hours of training shall not end without their result
            self._troubles.append(f"no plot: {error!r}")

    def _close(self, summary: Summary, n_wanted: int) -> int:
        result = summary.result()
        summary.show(self._console)
        if result["n_complete"]:
            self._plot(summary)
        missing = n_wanted - result["n_trials"]
        if missing > 0:
            self._troubles.append(f"{missing} trials were not run")
        for trouble in self._troubles:
            print(f"warning: {trouble}", file=sys.stderr)
        print(result_line(result), flush=True)
        if self._interrupted:
            return 130
        return 1 if self._troubles or not result["n_complete"] else 0


def prepare_model(llm: str | LLM | None) -> str:
    """Pull local weights now, with a bar, rather than in each worker; return the model's name.

    Raises:
        UsageError: ``llm`` is of no known form.
        OptunaLLMError: There is no such model, no key, or no weights.
    """
    from optuna_llm_sampler.llms.registry import resolve, turned_off

    if off := turned_off(llm):
        return f"none ({off})"
    try:
        _, build = resolve(llm)
        model = build()
    except ValueError as error:
        raise UsageError(str(error)) from error
    if model.name.startswith("local/"):
        from optuna_llm_sampler import LocalLLM
        from optuna_llm_sampler.llms.local.weights import MODELS, pull

        if isinstance(model, LocalLLM) and model.model in MODELS:
            with _told():
                pull(model.model)
    return model.name


@contextmanager
def _told() -> Iterator[None]:
    """Let the package say what it does, as long as the block runs."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
