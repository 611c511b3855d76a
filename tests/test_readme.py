"""The README's code and commands, run as they stand there, and the files it names."""

from __future__ import annotations

from collections import Counter
import json
import os
from pathlib import Path
import re
from runpy import run_path
import shlex
import subprocess
import sys
import textwrap
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
import pytest

import optuna_llm_sampler
from optuna_llm_sampler import visualization
from optuna_llm_sampler.cli import main

from .support.servers import answering_server, Body
from .support.storages import Postgres
from .support.studies import tuned


README = Path(__file__).parents[1] / "README.md"
COMMAND = re.compile(r"`optuna-llm ([a-z]+)([^`]*)`")


def block(name: str) -> str:
    """Return the code block that follows a comment."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)\n```\n", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def answer(body: Body) -> str:
    configs = [{"C": 10.0 ** (i / 2), "gamma": 10.0 ** (-4 + i / 4), "why": "?"} for i in range(8)]
    return json.dumps({"configs": configs})


def fine_tuned(body: Body) -> str:
    configs = [{"lr": 1e-5 * (i + 1), "batch_size": 32, "why": "?"} for i in range(4)]
    return json.dumps({"note": "", "configs": configs})


def proposing(body: Body) -> str:
    """Answer for the space of ``tuned``, for that of the doctor, and with a space."""
    config = {"learning_rate": 3e-4, "batch_size": 64, "n_layers": 4, "dropout": 0.1}
    configs = [{**config, "epochs": 3, "optimizer": optimizer} for optimizer in ("adam", "adamw")]
    rate = {"name": "lr", "kind": "float", "low": 1e-5, "high": 1e-3, "default": 1e-4, "why": "?"}
    return json.dumps({"note": "", "configs": configs, "parameters": [rate]})


def test_people_reach_the_end_of_the_readme() -> None:
    assert len(README.read_text().splitlines()) <= 250


def test_every_file_and_folder_that_the_readme_names_exists() -> None:
    text = README.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    drawn = re.search(r"```text\n(optuna_llm_sampler/\n.*?)```", text, re.DOTALL)
    assert drawn is not None
    folder, named = "", []
    for line in drawn[1].splitlines()[1:]:
        if found := re.match(r"[├└]── (\w+/)", line):
            folder = found[1]
        named += [(folder, name) for name in re.findall(r"\b(\w+\.py)\b", line)]
    assert len(named) >= 20
    package = README.parent / "optuna_llm_sampler"
    missing = [link for link in links if not (README.parent / link).exists()]
    missing += [f"{f}{n}" for f, n in named if not [*(package / f).rglob(n), *package.glob(n)]]
    assert missing == []


def test_public_names_in_the_readme_exist() -> None:
    name = r"[`=]([A-Z]\w+|usage|calls|record_failures|plot_\w+|save_plots)\("
    used = set(re.findall(name, README.read_text()))
    known = {*optuna_llm_sampler.__all__, *visualization.__all__}
    assert {"LLMSampler", "Budget", "save_plots"} <= used
    assert used - known <= {*optuna.samplers.__all__, *optuna.storages.__all__}


def test_the_quick_start_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering_server(fine_tuned) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "nothing")
        monkeypatch.delenv("OPTUNA_LLM", raising=False)
        given: dict[str, Any] = {"train_and_validate": lambda lr, batch_size: -lr * batch_size}
        script = tmp_path / "script.py"
        script.write_text(block("quick start").replace("n_trials=50", "n_trials=6"))
        trials = run_path(str(script), given)["study"].trials
    assert trials[0].user_attrs["llm_source"] == "llm"
    assert server.received


def test_every_command_in_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    name = tuned(8, storage=url).study_name
    commands = dict(COMMAND.findall(README.read_text()))
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.search(r"^ {4}(\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert listed is not None
    assert listed[1] in commands
    del commands["pull"]  # half a gigabyte; tests/cli runs it
    with answering_server(proposing) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "nothing")
        monkeypatch.setenv("OPTUNA_LLM", "openai/m")
        for command, rest in commands.items():
            words = shlex.split(rest.replace("URL", url).replace("NAME", name))
            assert main([command, *words]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_the_worker_script_in_a_shell_loop(postgres: Postgres) -> None:
    script = README.parent / "benchmarks" / "worker.py"
    assert textwrap.indent(block("worker"), "    ") in script.read_text()
    loop = f'for i in $(seq 2); do "{sys.executable}" "{script}" & done; wait'
    with answering_server(answer) as server:
        storage = RDBStorage(postgres.url)
        study = optuna.create_study(study_name="tumours", storage=storage, direction="maximize")
        environment = {
            **os.environ,
            "STORAGE": postgres.url,
            "TRIALS": "5",
            "OPTUNA_LLM": "openai/m",
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "nothing",
            "PYTHONPATH": str(README.parent),
            "OMP_NUM_THREADS": "1",
        }
        ended = subprocess.run(["bash", "-c", loop], env=environment, capture_output=True)
        trials = study.trials
        storage.engine.dispose()
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert 5 <= len(trials) <= 6  # each worker ends after the trial that it is in
    sources = Counter(trial.user_attrs["llm_source"] for trial in trials)
    assert sources["llm"] >= 1  # trials of no duration wait for the first answer only
    advice = [t.user_attrs["llm_advice"] for t in trials if t.user_attrs["llm_source"] == "llm"]
    assert len(set(advice)) == len(advice)
    assert server.received
    assert len(server.received) <= 3
