"""What differs between Optuna's versions, for tests."""

from __future__ import annotations

import optuna
import pytest

from optuna_llm_sampler._study.optuna_internals import IS_OPTUNA_4


needs_optuna_5 = pytest.mark.skipif(IS_OPTUNA_4, reason="Optuna 4 has no named constraints")

# Before Optuna 4.9, the callback had another name.
RetryCallback = (
    getattr(optuna.storages, "RetryHeartbeatStaleTrialCallback", None)
    or optuna.storages.RetryFailedTrialCallback
)
