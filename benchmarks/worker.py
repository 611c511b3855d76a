"""One of many workers on one study; ``STORAGE`` names the database."""

import os

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from optuna_llm_sampler import LLMSampler


N_TRIALS = int(os.environ.get("TRIALS", "100"))
SPACE = {
    "C": FloatDistribution(1e-2, 1e4, log=True),
    "gamma": FloatDistribution(1e-6, 1, log=True),
}


def objective(trial: optuna.Trial) -> float:
    """Return the accuracy of a support vector classifier, cross-validated."""
    C = trial.suggest_float("C", 1e-2, 1e4, log=True)
    gamma = trial.suggest_float("gamma", 1e-6, 1, log=True)
    data = load_breast_cancer(return_X_y=True)
    return float(cross_val_score(SVC(C=C, gamma=gamma), *data, cv=3).mean())


def main() -> None:
    """Run trials until the study has ``TRIALS`` of them."""
    sampler = LLMSampler(
        task="SVC on 569 tumours, 30 unscaled features; accuracy.", search_space=SPACE
    )
    storage = RDBStorage(
        os.environ["STORAGE"],
        engine_kwargs={"pool_pre_ping": True},  # survives a restart of the database
        heartbeat_interval=30,  # the trial of a dead worker is run again
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=3),
    )
    study = optuna.load_study(study_name="tumours", storage=storage, sampler=sampler)
    study.optimize(objective, callbacks=[MaxTrialsCallback(N_TRIALS, states=None)])


if __name__ == "__main__":
    main()
