"""Read the search space from an objective's source, without running it."""
