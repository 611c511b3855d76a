"""``optuna-llm space``, as a person or a script runs it."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import subprocess
import sys

import pytest

from optuna_llm_sampler import calls
from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.cli.storage import open_study

from ..support.proposals import answer, ITEMS, SENTENCE
from ..support.servers import answering_server
from ..support.studies import tuned


Capture = pytest.CaptureFixture[str]
CURRENT = {"learning_rate": 5e-5, "batch_size": 64}
CHANGES = {"parameter": "x", "change": "Wider.", "why": "Usual."}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """``--llm openai/m`` at a server that answers; the list has what it was asked."""
    asked: list[str] = []

    def handler(body: object) -> str:
        asked.append(text := json.dumps(body))
        review = json.dumps({"changes": [CHANGES], "note": "Good."})
        return review if "You review" in text else answer(*ITEMS, note="Short.")

    with answering_server(handler) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.delenv("OPTUNA_LLM", raising=False)
        yield asked


@pytest.fixture
def db(tmp_path: Path) -> str:
    tuned(12, storage=f"sqlite:///{tmp_path}/study.db")
    return str(tmp_path / "study.db")


def prints(capsys: Capture, *argv: str) -> str:
    assert main(["space", *argv]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_a_table_with_reasons(model: list[str], capsys: Capture) -> None:
    out = prints(capsys, SENTENCE, "--llm", "openai/m")
    assert "learning_rate  float from 5e-06 to 0.0001, logarithmic  0.0001" in out
    assert '    only with "optimizer" = "sgd"\n    why momentum matters' in out
    assert out.endswith("The model says: Short.\n")


def test_json(model: list[str], capsys: Capture) -> None:
    found = json.loads(prints(capsys, SENTENCE, "--llm", "openai/m", "--json"))
    assert found["space"]["batch_size"]["attributes"]["low"] == 32
    assert found["conditions"] == {"momentum": {"optimizer": ["sgd"]}}
    assert found["call"]["requests"] == 1


def test_code_runs(model: list[str], capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "tune.py"
    path.write_text(prints(capsys, SENTENCE, "--llm", "openai/m", "--code"))
    subprocess.run([sys.executable, str(path)], check=True, capture_output=True)


def test_show_prints_what_would_be_sent_and_sends_nothing(
    model: list[str], capsys: Capture
) -> None:
    arguments = (SENTENCE, "--like", "tests.cli.test_space:CURRENT", "--llm", "openai/m")
    out = prints(capsys, *arguments, "--show")
    assert model == []
    assert '- "batch_size": int = 64' in out
    shown = json.loads(prints(capsys, *arguments, "--show", "--json"))
    content = json.dumps(shown["messages"][1]["content"])
    out = prints(capsys, *arguments)
    assert "learning_rate  float from 5e-06 to 0.0001, logarithmic  5e-05" in out
    assert len(model) == 1
    assert content in model[0]


def test_a_review(model: list[str], capsys: Capture, db: str) -> None:
    before = len(calls(open_study(db, None)))
    out = prints(capsys, "Noise.", "--review", "--storage", db, "--llm", "openai/m")
    assert out.startswith("Facts:\n")
    assert "x: Wider. Usual.\nGood.\n" in out.replace("x (not in the space)", "x")
    assert len(calls(open_study(db, None))) == before + 1
    shown = prints(capsys, "Noise.", "--review", "--storage", db, "--show")
    assert "<facts>" in shown
    assert len(model) == 1
    found = json.loads(prints(capsys, "--review", "--storage", db, "--llm", "off", "--json"))
    assert found["changes"] == []
    assert "turned off" in found["error"]


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, "Say in words"),
        (["a task", "--storage", "x.db"], 2, "need --review"),
        (["--review"], 2, "--review needs --storage"),
        (["--review", "--storage", "none.db"], 3, "no file none.db"),
        (["a task", "--like", "nothing:here"], 2, "--like nothing:here cannot be imported"),
        (["a task", "--like", "math:pi"], 2, "like has no"),
        (["a batch size of at least 64 but at most 32", "--show"], 2, "contradict"),
        (["a task", "--llm", "off"], 1, "turned off"),
        (["a task", "--llm", "what"], 2, "llm must be"),
    ],
)
def test_what_is_wrong_is_one_line(
    argv: list[str], code: int, words: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPTUNA_LLM", raising=False)
    assert main(["space", *argv]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err


def test_a_small_model_is_refused_in_one_sentence(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPTUNA_LLM_CACHE", str(tmp_path))  # no weights: none shall be fetched
    for llm in ("openai/tiny-0.5b", "local"):
        assert main(["space", "a task", "--llm", llm]) == 1
        err = capsys.readouterr().err
        assert " is too small to design a search space. Name a larger model, such as" in err
