"""Sentences as people write them, and the spaces that are proposed for them."""
