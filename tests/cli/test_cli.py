from __future__ import annotations

from importlib.metadata import version
import os
from pathlib import Path
import signal
import subprocess
import sys

from filelock import FileLock
import pytest

from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.llms.local.weights import DEFAULT, MODELS


def test_failure_is_one_line_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPTUNA_LLM_CACHE", str(tmp_path / "file" / "cache"))
    assert main(["pull"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("optuna-llm: ")
    assert "OPTUNA_LLM_CACHE" in err


@pytest.mark.parametrize("argv", [[], ["pull", "gpt-17"], ["nonsense"]])
def test_arguments_that_make_no_sense(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(argv)
    assert info.value.code == 2
    assert "usage: optuna-llm" in capsys.readouterr().err


def test_help_names_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["pull", "--help"])
    assert info.value.code == 0
    out = "".join(capsys.readouterr().out.split())  # argparse breaks lines at hyphens.
    assert all(name in out for name in MODELS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["--version"])
    assert info.value.code == 0
    assert capsys.readouterr().out == f"optuna-llm-sampler {version('optuna-llm-sampler')}\n"


def test_a_model_that_is_turned_off_is_named_as_the_cause(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPTUNA_LLM", "off")
    assert main(["doctor"]) != 0
    out = capsys.readouterr().out
    assert "turned off (OPTUNA_LLM='off')" in out
    assert "Unset OPTUNA_LLM" in out


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt(tmp_path: Path) -> None:
    with FileLock(tmp_path / f"{MODELS[DEFAULT].file}.lock"):
        process = subprocess.Popen(
            [sys.executable, "-m", "optuna_llm_sampler.cli", "pull"],
            env={**os.environ, "OPTUNA_LLM_CACHE": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "Another process pulls" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.slow
def test_pull_prints_the_path() -> None:
    command = [sys.executable, "-m", "optuna_llm_sampler.cli", "pull", "qwen2.5-coder-0.5b"]
    path = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    assert path.name == MODELS["qwen2.5-coder-0.5b"].file
    assert path.is_file()
