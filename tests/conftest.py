from __future__ import annotations

from collections.abc import Iterator
import os
import signal

from hypothesis import HealthCheck, settings
import optuna
import pytest

from optuna_llm_sampler._store import background_call

from .support.storages import Postgres, postgres_server


pytest.register_assert_rewrite("optuna.testing.pytest_samplers")


# Before torch is imported, here and in every process that a test starts: more threads than free
# cores take many times longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run, however fast; others, and more, with
# ``pytest --hypothesis-profile=thorough``.
settings.register_profile(
    "usual",
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("usual"), max_examples=2000, derandomize=False
)
settings.load_profile("usual")

# What runs in the background (``nohup``, ``&`` in a script, some CI) ignores SIGINT, and so would
# every process that a test starts in order to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)

_VERBOSITY = optuna.logging.get_verbosity()


@pytest.fixture(autouse=True)
def _verbosity() -> Iterator[None]:
    """Undo what tests, and fixtures of whole modules, do to Optuna's verbosity."""
    optuna.logging.set_verbosity(_VERBOSITY)
    yield
    optuna.logging.set_verbosity(_VERBOSITY)


@pytest.fixture(autouse=True)
def _claims_settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a wait before every call: no other process works on the study of a test.

    Those that do, in some tests, are not touched.
    """
    monkeypatch.setattr(background_call, "_CLAIM_SETTLES", 0.0)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests; each has a study of its own name."""
    with postgres_server() as server:
        yield server
