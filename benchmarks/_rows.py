"""Thousands of finished trials put into a database at once, for benchmarks and tests of scale.

``Study.add_trials`` commits each trial by itself: minutes for 10,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
import itertools

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
import sqlalchemy


def fill(storage: RDBStorage, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    """Add finished trials to an empty study.

    Args:
        storage:
            The database.
        study_id:
            Of the study, which nobody else uses yet.
        trials:
            With parameters and values; attributes are not written.
    """
    now = datetime.now(tz=timezone.utc).replace(tzinfo=None)
    with storage.engine.begin() as connection:
        highest = connection.scalar(sqlalchemy.func.max(models.TrialModel.trial_id).select())
        first = (highest or 0) + 1
        if connection.dialect.name == "postgresql":  # explicit ids do not move its sequence
            connection.execute(
                sqlalchemy.text("SELECT setval('trials_trial_id_seq', :last)"),
                {"last": first + len(trials)},
            )
        rows = [
            {
                "trial_id": first + i,
                "number": i,
                "study_id": study_id,
                "state": trial.state,
                "datetime_start": now,
                "datetime_complete": now,
            }
            for i, trial in enumerate(trials)
        ]
        params = [
            {
                "trial_id": first + i,
                "param_name": name,
                "param_value": distribution.to_internal_repr(trial.params[name]),
                "distribution_json": distribution_to_json(distribution),
            }
            for i, trial in enumerate(trials)
            for name, distribution in trial.distributions.items()
        ]
        values = [
            {
                "trial_id": first + i,
                "objective": objective,
                "value": value,
                "value_type": models.TrialValueModel.TrialValueType.FINITE,
            }
            for i, trial in enumerate(trials)
            for objective, value in enumerate(trial.values)
        ]
        for model, made in (
            (models.TrialModel, rows),
            (models.TrialParamModel, params),
            (models.TrialValueModel, values),
        ):
            for start in itertools.count(0, 5_000):
                if not made[start : start + 5_000]:
                    break
                insert = sqlalchemy.insert(model.__table__)
                connection.execute(insert, made[start : start + 5_000])
