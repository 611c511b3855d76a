"""The README's worker script, run as it stands there: a shell loop on a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
import json
import os
from pathlib import Path
import re
import subprocess
import sys

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
import pytest

from .support.servers import answering_server
from .support.servers import Body
from .support.storages import Postgres


README = Path(__file__).parents[1] / "README.md"


def block(name: str) -> str:
    """Return the code block that follows a comment."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)\n```\n", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def answer(body: Body) -> str:
    configs = [{"C": 10.0 ** (i / 2), "gamma": 10.0 ** (-4 + i / 4), "why": "?"} for i in range(8)]
    return json.dumps({"configs": configs})


@pytest.mark.slow
def test_the_worker_script_in_a_shell_loop(postgres: Postgres, tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(block("worker"))
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
    assert sources["llm"] >= 4
    advice = [t.user_attrs["llm_advice"] for t in trials if t.user_attrs["llm_source"] == "llm"]
    assert len(set(advice)) == len(advice)
    assert server.received
    assert len(server.received) <= 3
