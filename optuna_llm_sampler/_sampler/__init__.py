"""Optuna's side: the sampler and all that knows studies and trials."""
