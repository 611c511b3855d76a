"""``python -m benchmarks.customer_service``: tune a transformer on customer-service queries."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import os
from pathlib import Path
import sys
import time

import optuna
from optuna.storages import BaseStorage
from rich.console import Console
import torch

from optuna_llm_sampler.errors import OptunaLLMError
from optuna_llm_sampler.llms import LLM

from .config import Config
from .config import DEFAULT_STUDY
from .config import DEFAULT_TIMEOUT
from .config import OBJECTIVES
from .data import DataError
from .objective import Objective
from .ray_engine import run_ray
from .report import Bar
from .report import best_trial
from .report import finished
from .report import result_line
from .report import RIVALS
from .report import Summary
from .storage import connect
from .storage import open_study
from .storage import serve
from .storage import StudyError
from .workers import bury_orphans
from .workers import Outcome
from .workers import run_here
from .workers import run_processes


def main(arguments: Sequence[str] | None = None, *, llm: LLM | None = None) -> int:
    """Run the main job.

    Args:
        arguments:
            Of the command line.
        llm:
            A model to use in place of ``--llm``; picklable when there is more than one worker.

    Returns:
        The exit status: 0, 1 when trials or workers died, 2 when nothing could start, 130 after
        Ctrl-C.
    """
    args = _parser().parse_args(arguments)
    # Its threads would compete with torch's for the same cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config = Config(
        storage=args.storage or str(args.out / "customer_service.journal"),
        study=args.study,
        data=args.data,
        encoder=args.encoder,
        objective=args.objective,
        llm=args.llm if llm is None else llm,
        timeout=args.timeout,
        seed=args.seed,
        data_seed=args.data_seed,
        limit=args.limit,
        max_epochs=args.max_epochs,
        threads=args.threads,
    )
    try:
        with serve(config.storage, args.out) as url, connect(url) as storage:
            return _Run(replace(config, storage=url), storage, args).everything()
    except (DataError, StudyError) as error:
        print(f"error: {error}", file=sys.stderr)
    except OptunaLLMError as error:
        print(f"error: {error}\n{error.hint}", file=sys.stderr)
    return 2


class _Run:
    """One run of the command."""

    def __init__(self, config: Config, storage: BaseStorage, args: argparse.Namespace) -> None:
        self._config = config
        self._storage = storage
        self._args = args
        self._console = Console()
        self._troubles: list[str] = []
        self._interrupted = False

    def everything(self) -> int:
        begin = time.monotonic()
        torch.set_num_threads(self._config.threads)
        study = open_study(self._config, self._storage)
        objective = Objective(self._config)
        name = prepare_model(self._config.llm)
        n_before = len(finished(study))
        self._console.print(
            f"{self._args.trials} trials by {self._args.workers} workers, study "
            f"{self._config.study!r} ({n_before} trials so far), model {name}",
            markup=False,
        )
        self._tune(self._config, study, objective, self._args.trials)
        rivals = self._compare(study, objective) if self._args.compare else {}
        summary = Summary(
            study=study,
            test_accuracy=self._test(study, objective),
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
        with Bar(study, n_trials, self._console) as bar:
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
        with self._console.status("training the best trial's model again, for the test"):
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
        OptunaLLMError: There is no such model, no key, or no weights.
    """
    from optuna_llm_sampler._resolve import resolve
    from optuna_llm_sampler._resolve import turned_off

    if off := turned_off(llm):
        return f"none ({off})"
    _, build = resolve(llm)
    model = build()
    if model.name.startswith("local/"):
        from optuna_llm_sampler import LocalLLM
        from optuna_llm_sampler.llms._weights import MODELS
        from optuna_llm_sampler.llms._weights import pull

        if isinstance(model, LocalLLM) and model.model in MODELS:
            pull(model.model)
    return model.name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.customer_service",
        description="Fine-tune a transformer on customer-service queries, tuned by LLMSampler. "
        "Run it again, and the study goes on.",
    )
    add = parser.add_argument
    add("--trials", type=_positive, default=20, help="more trials, of all workers together")
    add("--workers", type=_positive, default=min(2, os.cpu_count() or 1), help="processes")
    add(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="what starts the workers: this program, on this machine, or a Ray cluster",
    )
    add("--address", help='of the Ray cluster: "auto", HOST:6379 or ray://HOST:10001')
    add("--llm", help='as LLMSampler takes it: "local", "openai/gpt-5-mini", "local/PATH.gguf"')
    add(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        help="longest time that a trial waits for the model, in seconds",
    )
    add(
        "--data",
        default="corpus",
        help="folder with train.csv and test.csv (text,category), or hub:NAME",
    )
    add("--encoder", default="tiny", help='"tiny", or folder or hub id of a pretrained encoder')
    add("--objective", choices=OBJECTIVES, default=OBJECTIVES[0])
    add("--compare", action="store_true", help="also run the base sampler alone, and TPE")
    add("--seed", type=int, default=0, help="of the samplers")
    add("--data-seed", type=int, default=0, help="of the split and the trainings")
    add(
        "--storage",
        help="storage URL, a *.journal file, or embedded-postgres; "
        "by default customer_service.journal in --out",
    )
    add("--study", default=DEFAULT_STUDY, help="name of the study")
    add("--out", type=Path, default=Path("runs"), help="folder for plots and local storages")
    add("--limit", type=_positive, help="use so many training queries at most")
    add("--max-epochs", type=_positive, help="upper limit of the epochs of a trial")
    add("--threads", type=_positive, default=1, help="torch threads of a worker")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
