"""What Python programs and notebooks call: models evaluated without pytest, their results, gates, and registries."""
