"""Lint, types and tests in one: ``python -m tests [pytest arguments]``."""

from __future__ import annotations

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


def main(arguments: list[str]) -> int:
    """Run every check, also after one has failed, and say at the end which did."""
    chromium.install()
    failed = []
    for name, *rest in CHECKS:
        command = [sys.executable, "-m", name, *rest, *(arguments if name == "pytest" else [])]
        print(f"\n--- {name} {' '.join(command[3:])}", flush=True)
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
