"""What workers share through Optuna's storage."""
