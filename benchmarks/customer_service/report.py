"""What a run shows: a bar over its trials, tables, plots, and one line for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
import contextlib
from dataclasses import dataclass
import json
from pathlib import Path
import threading
import time
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from optuna_llm_sampler import ProposedSpace, usage
from optuna_llm_sampler._proposal.like import in_words
from optuna_llm_sampler._study import keys as _keys

from .config import SamplerName
from .objective import SECONDS


_MILESTONES = (5, 10)
# What TPE reached on the default problem: 20 trials with one worker, sampler seeds 0 and 1, each
# .4844 (62 of 128 validation queries), on two cores.
_TPE_AFTER_20 = "0.4844 (two seeds)"
# How often the bar looks at the storage, and says in a log that it lives, in seconds.
_LOOK = 1.0
_INTERVAL = 30.0

# What a study is compared with, by its number of objectives: with two, the base sampler is TPE.
RIVALS: Mapping[int, Mapping[str, SamplerName]] = {
    1: {"base sampler alone": "base", "TPE": "tpe"},
    2: {"TPE": "tpe"},
}


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that have ended, whatever way."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the trial of the best accuracy; of several, the first, or the fastest."""
    if not _complete(study):
        return None
    if len(study.directions) == 1:
        return study.best_trial
    return max(study.best_trials, key=lambda trial: trial.values[0])


def source(trial: FrozenTrial, default: str = "") -> str:
    """Return where a trial's parameters came from."""
    return str(_keys.read(trial.user_attrs, _keys.SOURCE, default))


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in finished(study) if t.state == TrialState.COMPLETE]


class Bar:
    """A progress bar over the trials of one study, and a line for each that ends.

    A thread of its own looks at the storage, so that it can be seen what the workers wait for.
    Where the output is no terminal, nothing is drawn anew: there is a line per trial, and one now
    and then while none ends.

    Args:
        study:
            The study. Other processes may be running it.
        n_trials:
            How many trials are to come.
        console:
            Where to.
        waits_for:
            What gives trials their parameters, in words.
    """

    def __init__(
        self, study: optuna.Study, n_trials: int, console: Console, *, waits_for: str = "sampler"
    ) -> None:
        self._study = study
        self._console = console
        self._waits_for = waits_for
        self._n_trials, self._n_done = n_trials, 0
        self._seen = {trial.number for trial in finished(study)}
        # Not what rich believes, which FORCE_COLOR decides as well.
        self._live = console.file.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[best]}"),
            console=console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("", total=n_trials, best="")
        self._begin = self._said = time.monotonic()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Bar:
        self._progress.start()
        self.tick()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.tick()
        self._progress.stop()

    def _watch(self) -> None:
        while not self._end.wait(_LOOK):
            # The next look may find a storage that is busy now.
            with contextlib.suppress(Exception):
                self.tick()

    def tick(self) -> None:
        """Look at the storage, and show what is new."""
        with self._lock:
            trials = self._study.get_trials(deepcopy=False)
            for trial in trials:
                if not trial.state.is_finished() or trial.number in self._seen:
                    continue
                self._seen.add(trial.number)
                self._n_done += 1
                self._print(_line(trial))
                best = best_trial(self._study)
                text = "" if best is None else f"best {best.values[0]:.4f}"
                self._progress.update(self._task, advance=1, best=text)
            doing = self._doing([t for t in trials if t.state == TrialState.RUNNING])
            name = escape(self._study.study_name)
            self._progress.update(self._task, description=f"{name}: {escape(doing)}")
            if not self._live and time.monotonic() - self._said >= _INTERVAL:
                seconds = time.monotonic() - self._begin
                done = f"{self._n_done} of {self._n_trials} trials after {seconds:.0f} s"
                self._print(f"{done}; {escape(doing)}")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
        self._said = time.monotonic()

    def _doing(self, running: Sequence[FrozenTrial]) -> str:
        # A trial gets its first parameter when the sampler has answered.
        n_waiting = sum(not trial.params for trial in running)
        parts = [
            f"{n_waiting} waiting for {self._waits_for}" * (n_waiting > 0),
            f"{len(running) - n_waiting} training" * (len(running) > n_waiting),
        ]
        return ", ".join(filter(None, parts)) or "starting"


def _line(trial: FrozenTrial) -> str:
    if trial.state == TrialState.COMPLETE:
        value = f"{trial.values[0]:.4f}"
    else:
        value = trial.state.name.lower()
    seconds = trial.user_attrs.get(SECONDS)
    spent = "" if seconds is None else f"{seconds:6.1f} s"
    return f"trial {trial.number:>3}  {value:<8} {spent:>8}  {escape(source(trial))}"


@dataclass(frozen=True)
class Summary:
    """What is known at the end of a run.

    Attributes:
        study:
            The study.
        test_accuracy:
            Of its best trial; :obj:`None` if it was not tested.
        n_categories:
            How many there are to choose from.
        usual:
            Whether it is the problem that the command has by default, on which TPE was measured.
        seconds:
            How long the run took.
        rivals:
            Studies of other samplers with as many trials, by name.
    """

    study: optuna.Study
    test_accuracy: float | None
    n_categories: int
    usual: bool
    seconds: float
    rivals: Mapping[str, optuna.Study]

    def result(self) -> dict[str, Any]:
        """Return the content of the last line."""
        best = best_trial(self.study)
        trials = finished(self.study)
        result: dict[str, Any] = {
            "best_value": None if best is None else best.values[0],
            "test_accuracy": self.test_accuracy,
            "chance": round(1 / self.n_categories, 4),
            "best_params": None if best is None else best.params,
            "best_source": None if best is None else source(best),
            "n_trials": len(trials),
            "n_complete": len(_complete(self.study)),
            "llm_calls": usage(self.study).calls,
            "sources": dict(Counter(source(t) for t in trials if source(t))),
            "seconds": round(self.seconds, 1),
        }
        if len(self.study.directions) > 1:
            result["front"] = _front(self.study)
        if self.rivals:
            result["compare"] = {
                name: {"best_value": _best_of(study), "n_trials": len(finished(study))}
                for name, study in self.rivals.items()
            }
        return result

    def show(self, console: Console) -> None:
        """Print the tables."""
        console.print(self._table())
        if len(self.study.directions) > 1:
            console.print(_front_table(self.study))
        if self.rivals:
            console.print(self._comparison())

    def _table(self) -> Table:
        table = Table(title=f"Study {self.study.study_name}", show_header=False)
        best = best_trial(self.study)
        if best is None:
            table.add_row("best trial", "none: no trial is complete")
        else:
            table.add_row("best validation accuracy", f"{best.values[0]:.4f}")
            if self.test_accuracy is not None:
                table.add_row("its test accuracy", f"{self.test_accuracy:.4f}")
            chance = f"{1 / self.n_categories:.4f} ({self.n_categories} intents)"
            table.add_row("accuracy of guessing", chance)
            if self.usual:
                table.add_row("validation accuracy of TPE, 20 trials", _TPE_AFTER_20)
            table.add_row("trial, source", escape(f"{best.number}, {source(best) or '-'}"))
            if why := _keys.read(best.user_attrs, _keys.WHY):
                table.add_row("why", escape(str(why)))
            for name, value in best.params.items():
                table.add_row(
                    f"  {name}", f"{value:.4g}" if isinstance(value, float) else str(value)
                )
        table.add_section()
        for name, value in self._costs():
            table.add_row(name, value)
        return table

    def _costs(self) -> list[tuple[str, str]]:
        trials = finished(self.study)
        states = Counter(trial.state.name.lower() for trial in trials)
        sources = Counter(source(trial) or "-" for trial in trials)
        cost = usage(self.study)
        return [
            ("trials", f"{len(trials)} ({_counts(states)})"),
            ("sources", escape(_counts(sources))),
            ("model calls", f"{cost.calls}, {cost.seconds:.0f} s"),
            ("tokens in, out", f"{_number(cost.input_tokens)}, {_number(cost.output_tokens)}"),
            ("seconds of this run", f"{self.seconds:.0f}"),
        ]

    def _comparison(self) -> Table:
        table = Table(title="Best validation accuracy, same budget and seeds")
        table.add_column("sampler")
        for n in _MILESTONES:
            table.add_column(f"after {n} trials", justify="right")
        table.add_column("all", justify="right")
        table.add_column("trials", justify="right")
        for name, study in {"LLMSampler": self.study, **self.rivals}.items():
            bests = [_number(_best_of(study, n)) for n in (*_MILESTONES, None)]
            table.add_row(name, *bests, str(len(finished(study))))
        return table

    def plot(self, folder: Path) -> list[Path]:
        """Write the history, coloured by source, as HTML and PNG, and return the files."""
        # Imported here: a run that was interrupted early, and its workers, need none of it.
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        from optuna_llm_sampler import visualization

        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / self.study.study_name.replace("/", "_")
        html, png = (Path(f"{stem}{suffix}") for suffix in (".html", ".png"))
        studies = [self.study, *self.rivals.values()]
        visualization.plot_sources(studies).write_html(html)
        visualization.matplotlib.plot_sources(studies)
        pyplot.gcf().savefig(png, dpi=150, bbox_inches="tight")
        pyplot.close()
        return [html, png]


def result_line(result: Mapping[str, Any]) -> str:
    """Return the last line of the output."""
    return f"RESULT {json.dumps(result, allow_nan=False)}"


def _front(study: optuna.Study) -> list[dict[str, Any]]:
    trials = sorted(study.best_trials, key=lambda trial: trial.values[1])
    return [
        {
            "trial": trial.number,
            "accuracy": trial.values[0],
            "seconds": round(trial.values[1], 2),
            "source": source(trial),
        }
        for trial in trials
    ]


def space_table(proposed: ProposedSpace) -> Table:
    """Show a proposed space, with the reasons."""
    table = Table(title="Search space for your words", caption=escape(proposed.note))
    for column in ("parameter", "range", "why"):
        table.add_column(column)
    for name, distribution in proposed.space.items():
        table.add_row(name, escape(in_words(distribution)), escape(proposed.why.get(name, "")))
    return table


def _front_table(study: optuna.Study) -> Table:
    table = Table(title="Front: no trial is both faster and more accurate")
    for column in ("trial", "accuracy", "seconds", "source"):
        table.add_column(column)
    for row in _front(study):
        table.add_row(
            str(row["trial"]),
            f"{row['accuracy']:.4f}",
            f"{row['seconds']:.1f}",
            escape(row["source"]),
        )
    return table


def _best_of(study: optuna.Study, n: int | None = None) -> float | None:
    values = [t.values[0] for t in finished(study)[:n] if t.state == TrialState.COMPLETE]
    return max(values, default=None)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
