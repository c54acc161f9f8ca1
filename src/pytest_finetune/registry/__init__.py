"""The registry: which model versions there are, where they stand, and what earned it."""
