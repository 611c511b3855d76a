"""Show what is being waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import sys
import threading
import time

import optuna
from optuna.logging import get_logger


_logger = get_logger(f"optuna.{__name__}")

# Shorter waits are not shown, in seconds.
_PATIENCE = 2.0
_TICK = 0.5


@contextmanager
def waiting(what: str, at_most: float | None = None) -> Iterator[None]:
    """Show what the block waits for, and for how many seconds at most.

    It is a running line on a terminal, else one line in the log; nothing if Optuna's logging is
    set to warnings or less.
    """
    if optuna.logging.get_verbosity() > optuna.logging.INFO:
        yield
        return
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(what, at_most, done), daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _tick(what: str, at_most: float | None, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(_PATIENCE):
        return
    limit = "" if at_most is None else f", {at_most:.0f} s at most"
    if not sys.stderr.isatty():
        _logger.info(f"Waiting for {what}{limit}.")
        return
    line = ""
    while not done.wait(_TICK):
        line = f"Waiting for {what}: {time.monotonic() - start:.0f} s{limit}"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * len(line), end="\r", file=sys.stderr, flush=True)
