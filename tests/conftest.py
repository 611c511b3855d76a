from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest


pytest.register_assert_rewrite("optuna.testing.pytest_samplers")


@pytest.fixture(autouse=True)
def _verbosity() -> Iterator[None]:
    """Undo what a test does to Optuna's verbosity, which progress bars obey."""
    before = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(before)
