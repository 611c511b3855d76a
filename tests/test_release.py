"""What people get: the wheel, the folder for OptunaHub, the workflows."""

from __future__ import annotations

from pathlib import Path
import re
import runpy
import subprocess
import sys
from typing import Any
import zipfile

import pytest

from .support.fakes import guessing_server


ROOT = Path(__file__).parents[1]
HUB = ROOT / ".optunahub" / "package"
MAX_WHEEL = 400 * 1024
# What ``import optuna`` does not import, and the package may.
LIGHT = {"optuna_llm_sampler", "importlib"}


def run(*command: object, **options: Any) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- OptunaHub ------------------------------------------------------------------------------


def test_the_example_for_optunahub_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    optunahub = pytest.importorskip("optunahub")

    def load_module(package: str) -> Any:
        return optunahub.load_local_module(package, registry_root=str(HUB))

    monkeypatch.setattr(optunahub, "load_module", load_module)
    with guessing_server(monkeypatch):
        runpy.run_path(str(HUB / "samplers" / "llm_sampler" / "example.py"), run_name="__main__")
    assert "'llm'" in capsys.readouterr().out


def test_the_page_for_optunahub_has_the_registrys_form() -> None:
    yaml = pytest.importorskip("yaml")
    text = (HUB / "samplers" / "llm_sampler" / "README.md").read_text()
    matter = yaml.safe_load(text.split("---\n")[1])
    assert matter.keys() == {
        *("author", "title", "description", "tags", "optuna_versions", "license")
    }
    assert "sampler" in matter["tags"]
    assert all(isinstance(value, str) for value in (*matter["optuna_versions"], *matter["tags"]))
    for heading in ("Abstract", "Class or Function Names", "Installation", "APIs", "Example"):
        assert f"\n## {heading}\n" in text
    assert (HUB / "samplers/llm_sampler/LICENSE").read_text() == (ROOT / "LICENSE").read_text()
