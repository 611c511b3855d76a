"""Spaces and studies beyond the ordinary: branches, constraints, failures, transfer.

``python -m benchmarks.spaces conditional constrained failing`` runs each problem with the sampler
and a real local model, and with the base sampler alone, and prints a table.
"""
