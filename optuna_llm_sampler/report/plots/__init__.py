"""Plots of what the model did."""
