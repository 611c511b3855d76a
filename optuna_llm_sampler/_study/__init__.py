"""Optuna's distributions and trials as plain data."""
