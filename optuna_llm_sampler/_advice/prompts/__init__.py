"""Requests to models: JSON for large ones, code for small ones."""
