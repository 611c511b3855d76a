"""Lint, types and tests in one: ``python -m tests [pytest arguments]``."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

from .support import chromium


CHECKS = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
    # Many tests wait, for processes or a time limit: two files at a time share two cores well.
    ["pytest", "-n", "2", "--dist", "loadfile"],
)
# The oldest supported major versions. They lie in a folder of their own, over the environment that
# runs the tests, so that nothing large is installed twice.
ROOT = Path(__file__).parents[1]
OLDER = ROOT / ".venv-older"
OLDER_PACKAGES = (
    "optuna>=4.6,<5",
    "optuna-integration>=4.6,<5",
    "openai>=2,<3",
    *("httpx<1", "httpcore<2", "distro"),  # what openai 2 needs and openai 3 does not
)
OLDER_TESTS = (
    "tests/llms/test_openai.py",
    "tests/policy/test_evidence.py",
    "tests/sampler/test_base_sampler.py",
    "tests/sampler/test_conditional.py",
    "tests/sampler/test_conformance.py",
    "tests/sampler/test_hyperband.py",
    "tests/sampler/test_sampler.py",
    "tests/sampler/test_secrets.py",
    "tests/store/test_attributes.py",
    "tests/store/test_store.py",
    "tests/study",
    "tests/test_readme.py",
    "tests/test_recipes.py",
)


def main(arguments: list[str]) -> int:
    """Run every check, also after one has failed, and say at the end which did."""
    chromium.install()
    failed = []
    for name, *rest in CHECKS:
        command = [sys.executable, "-m", name, *rest, *(arguments if name == "pytest" else [])]
        print(f"\n--- {name} {' '.join(command[3:])}", flush=True)
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if not arguments and not with_older_versions():
        failed.append("pytest with older versions")
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed")
    return 1 if failed else 0


def with_older_versions() -> bool:
    """Run the tests that touch Optuna most with Optuna 4 and openai 2; tell whether they pass."""
    print(f"\n--- {', '.join(OLDER_PACKAGES[:3])}", flush=True)
    if not OLDER.exists():
        install = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(OLDER))
        if subprocess.run([sys.executable, *install, *OLDER_PACKAGES], check=False).returncode:
            return False
    path = os.pathsep.join([str(OLDER), str(ROOT), os.environ.get("PYTHONPATH", "")])
    pytest = ("-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", "not slow")
    run = subprocess.run(
        [sys.executable, *pytest, *OLDER_TESTS],
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        check=False,
    )
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
