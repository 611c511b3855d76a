"""A browser that the tests look with: found, or installed where that takes one command."""

from __future__ import annotations

import os
import shutil
import subprocess


_NAMES = ("chromium", "chromium-browser", "google-chrome")
_APT = ("apt-get", "-qq", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1")
_SECONDS = 240.0


def find() -> str | None:
    """Return the path of a browser."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def install() -> None:
    """Install Chromium by apt if this is root on such a system, and say what came of it.

    A machine of CI is such a one. Elsewhere nothing is installed, and browser tests are
    skipped with a reason.
    """
    if find() or os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("installing chromium for the browser tests", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        try:
            subprocess.run(
                [*_APT, *arguments],
                env=environment,
                capture_output=True,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            print(f"no chromium: {error}; the browser tests are skipped", flush=True)
            return
