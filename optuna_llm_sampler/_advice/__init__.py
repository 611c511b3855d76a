"""A question to a model, and the advice that its answer holds."""
