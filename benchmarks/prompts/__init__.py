"""How small models are asked best: ``python -m benchmarks.prompts``."""
