"""What happens to a model before and after it is evaluated: data, training, registry and rollout."""
