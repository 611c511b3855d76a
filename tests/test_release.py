"""What people get: the wheel, the folder for OptunaHub, the workflows."""

from __future__ import annotations

import os
from pathlib import Path
import re
import runpy
import shutil
import subprocess
import sys
from typing import Any
import zipfile

import pytest

from .support.fakes import guessing_server


ROOT = Path(__file__).parents[1]
PACKAGE = "optuna_llm_sampler"
HUB = ROOT / ".optunahub" / "package"
MAX_WHEEL = 400 * 1024


def run(*command: object, cwd: Path = ROOT) -> str:
    """Run a program without this checkout on its path."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- the wheel ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    # From a copy: the build leaves files behind.
    source = shutil.copytree(ROOT / "optuna_llm_sampler", folder / "source" / "optuna_llm_sampler")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source.parent)
    # Without isolation, nothing is downloaded. The wheel is made from the sdist.
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist")
    run(*build, source.parent, cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def python(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel; all else comes from that of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    ours = [path for path in sys.path if path.endswith("-packages")]
    (Path(site) / "of_the_tests.pth").write_text("\n".join(ours))
    install = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index")
    run(*install, "--no-deps", *dist.glob("*.whl"))
    return python


def test_what_is_built_is_small_and_complete(dist: Path) -> None:
    pytest.importorskip("twine")
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert wheel.stat().st_size <= MAX_WHEEL
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    files = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "optuna_llm_sampler"
    modules = {str(path.relative_to(ROOT)) for path in package.rglob("*.py")}
    assert {name for name in files if name.endswith(".py")} == modules
    assert "optuna_llm_sampler/py.typed" in files


USE = """
import json, optuna, optuna_llm_sampler
from optuna_llm_sampler.testing import FakeLLM

answer = json.dumps({"configs": [{"x": 0.25, "why": "a quarter"}]})
sampler = optuna_llm_sampler.LLMSampler(
    FakeLLM(lambda request: answer),
    search_space={"x": optuna.distributions.FloatDistribution(0, 1)},
)
study = optuna.create_study(sampler=sampler)
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
print(optuna_llm_sampler.__file__)
print(optuna_llm_sampler.__version__, study.trials[0].params)
"""


def test_the_wheel_in_a_fresh_environment(python: Path, tmp_path: Path) -> None:
    file, used = run(python, "-c", USE, cwd=tmp_path).splitlines()
    assert file.startswith(str(python.parents[1]))
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert used == f"{version[1]} {{'x': 0.25}}"
    assert "doctor" in run(python.parent / "optuna-llm", "--help", cwd=tmp_path)


def test_an_import_brings_hardly_more_than_optunas(python: Path, tmp_path: Path) -> None:
    """A quarter of the time of ``import optuna``: no client, no back end, no prompts."""
    code = (
        "import sys, optuna; before = set(sys.modules); import optuna_llm_sampler;"
        "print(*sorted(set(sys.modules) - before))"
    )
    modules = run(python, "-c", code, cwd=tmp_path).split()
    ours = [name for name in modules if name.startswith("optuna_llm_sampler")]
    others = {name.partition(".")[0] for name in modules} - {"optuna_llm_sampler"}
    assert others <= {"_statistics", "fractions", "numpy", "statistics"}
    assert len(ours) <= 60
    late = ("_advice.prompts", "_advice.ask", "llms.openai", "llms.local", "report", "cli")
    assert not [name for name in ours if name.startswith(tuple(f"{PACKAGE}.{n}" for n in late))]


# --- the workflows --------------------------------------------------------------------------


def test_the_workflows_have_the_form_that_github_reads() -> None:
    pytest.importorskip("check_jsonschema")
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [path.stem for path in workflows] == ["release", "tests"]
    check = (sys.executable, "-m", "check_jsonschema", "--builtin-schema")
    run(*check, "vendor.github-workflows", *workflows)


def test_the_workflows_name_tests_that_exist() -> None:
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    named = re.findall(r"\btests/[\w/.]+", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


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
