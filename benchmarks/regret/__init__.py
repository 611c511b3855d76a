"""Regret of samplers on real tasks, paired by seed: ``python -m benchmarks.regret``."""
