"""Optuna's own conformance suite, on a model a fifth of whose answers are bad."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler, TPESampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
import pytest

from optuna_llm_sampler import LLMSampler

from ..support.fakes import fake


class TestLLMSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: LLMSampler(
            fake(bad=0.2),
            # The suite asks for relative values right after one trial.
            base_sampler=TPESampler(n_startup_trials=0, multivariate=True, seed=0),
            llm_share=1.0,
            seed=0,
        )
