"""From a task in words to a search space, and back: a review of one."""
