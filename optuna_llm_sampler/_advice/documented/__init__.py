"""The documented defaults of the estimator that is tuned."""
