"""Tests of what only Optuna 5 has."""

from __future__ import annotations

import pytest

from optuna_llm_sampler._study.optuna_internals import IS_OPTUNA_4


needs_optuna_5 = pytest.mark.skipif(IS_OPTUNA_4, reason="Optuna 4 has no named constraints")
