"""What our attributes cost optuna-dashboard: its refresh of our trials against plain ones.

::

    python -m benchmarks.dashboard [--trials 3000] [--repeats 7]

A study is run by ``LLMSampler`` with a model that answers at once, and gets a study note. A copy
of it without any attribute is the plain one. Measured is the CPU time of the dashboard's own
server code per request, all studies in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import io
import json
from pathlib import Path
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import Trial
import optuna_dashboard

from benchmarks._help import parser as help_parser, positive
from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM
from optuna_llm_sampler.visualization import save_plots, write_note


SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-6, 1e-1, log=True),
    "batch_size": CategoricalDistribution(["32", "64", "128"]),
    "n_layers": IntDistribution(1, 12),
    "dropout": FloatDistribution(0.0, 0.6),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
    "warmup": FloatDistribution(0.0, 0.2),
}
_WHY = "A learning rate and depth that recipes for small encoders start from, with more dropout."


def objective(trial: Trial) -> float:
    for name, distribution in SPACE.items():
        trial._suggest(name, distribution)
    return float(trial.params["dropout"] + trial.params["warmup"])


def answer(request: Request) -> str:
    rng = random.Random(hash(request.messages[-1]["content"]))
    configs = [
        {
            "learning_rate": 10 ** rng.uniform(-6, -1),
            "batch_size": rng.choice(["32", "64", "128"]),
            "n_layers": rng.randint(1, 12),
            "dropout": rng.uniform(0, 0.6),
            "weight_decay": 10 ** rng.uniform(-6, -1),
            "warmup": rng.uniform(0, 0.2),
            "why": _WHY,
        }
        for _ in range(8)
    ]
    return json.dumps({"configs": configs, "note": _WHY})


def studies(folder: Path, n: int) -> dict[str, Study]:
    """Run a study, store it in a SQLite file, and take from a copy all that is ours."""
    base = RandomSampler(seed=0)
    sampler = LLMSampler(FakeLLM(answer), search_space=SPACE, base_sampler=base, seed=0)
    study = optuna.create_study(study_name="study", sampler=sampler)
    study.optimize(objective, n_trials=n)
    files = {name: folder / f"{name}.db" for name in ("ours", "plain", "ours, with plots")}
    optuna.copy_study(
        from_study_name="study", from_storage=study._storage, to_storage=_url(files["ours"])
    )
    for name in ("plain", "ours, with plots"):
        shutil.copy(files["ours"], files[name])
    with sqlite3.connect(files["plain"]) as connection:
        connection.execute("DELETE FROM trial_user_attributes")
        connection.execute("DELETE FROM trial_system_attributes")
    found = {
        name: optuna.load_study(study_name="study", storage=_url(file))
        for name, file in files.items()
    }
    write_note(found["ours"])
    write_note(found["ours, with plots"])
    save_plots(found["ours, with plots"])
    return found


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def get(app: Any, path: str, query: str = "") -> bytes:
    """Ask a WSGI application, without a network."""
    environment = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    status: list[str] = []
    body = b"".join(app(environment, lambda line, headers, info=None: status.append(line)))
    if not status[0].startswith("200"):
        raise RuntimeError(f"{path}: {status[0]}")
    return body


def first_load(study: Study) -> tuple[Callable[[], bytes], Callable[[], None]]:
    """The page of the study is opened for the first time since the server started."""
    apps: list[Any] = []

    def prepare() -> None:
        apps.append(optuna_dashboard.wsgi(study._storage))

    return lambda: get(apps[-1], "/api/studies/1"), prepare


def refresh(study: Study) -> tuple[Callable[[], bytes], Callable[[], None]]:
    """The open page asks for what is new, and the server's cache of trials is out of date."""
    app: Any = optuna_dashboard.wsgi(study._storage)
    get(app, "/api/studies/1")
    after = f"after={len(study.get_trials(deepcopy=False))}"

    def prepare() -> None:
        app._inmemory_cache._trials_last_fetched_at.clear()

    return lambda: get(app, "/api/studies/1", after), prepare


def measure(found: dict[str, Study], repeats: int) -> dict[str, dict[str, float]]:
    """Return CPU milliseconds and bytes per kind of request and study, medians of the repeats."""
    out: dict[str, dict[str, float]] = {}
    for kind in (first_load, refresh):
        runs = {name: kind(study) for name, study in found.items()}
        times: dict[str, list[float]] = {name: [] for name in found}
        sizes = {}
        for _ in range(repeats):
            for name, (run, prepare) in runs.items():
                prepare()
                start = time.process_time()
                sizes[name] = len(run())
                times[name].append(time.process_time() - start)
        for name in found:
            out.setdefault(name, {})[f"{kind.__name__} ms"] = 1e3 * statistics.median(times[name])
            out[name][f"{kind.__name__} bytes"] = sizes[name]
    return out


def main(arguments: Sequence[str]) -> None:
    parser = help_parser(
        "benchmarks.dashboard",
        "Measure what our attributes cost optuna-dashboard: the CPU time of its requests on a\n"
        "study of LLMSampler, against a copy of it without any attribute.",
        takes="10 minutes on two cores that are shared with other programs",
    )
    parser.add_argument("--trials", type=positive, default=3000, help="trials of the study")
    parser.add_argument("--repeats", type=positive, default=7, help="of each measurement")
    args = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        found = studies(Path(folder), args.trials)
        table = measure(found, args.repeats)
        for study in found.values():  # Windows deletes no open file
            study._storage.remove_session()
    ratios = {
        f"{name}, {kind}": round(row[kind] / table["plain"][kind], 3)
        for name, row in table.items()
        if name != "plain"
        for kind in row
    }
    for name, row in table.items():
        print(f"{name:18}" + "  ".join(f"{kind} {value:,.1f}" for kind, value in row.items()))
    for what, ratio in ratios.items():
        print(f"{what}: {ratio:.2f} times plain")
    print("RESULT " + json.dumps({"trials": args.trials, **ratios}))


if __name__ == "__main__":
    main(sys.argv[1:])
