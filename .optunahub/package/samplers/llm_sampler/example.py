from __future__ import annotations

import optuna
from optuna.distributions import FloatDistribution
import optunahub


SPACE = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.6),
}


def objective(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.6)
    return abs(lr - 3e-4) + (dropout - 0.1) ** 2


if __name__ == "__main__":
    module = optunahub.load_module(package="samplers/llm_sampler")
    sampler = module.LLMSampler(
        task="Fine-tune a transformer on short texts; loss.", search_space=SPACE
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=20)
    print(study.best_params)
    print([trial.user_attrs["llm_source"] for trial in study.trials])
