"""Moving from a model that is shut down: what is in use, and training data from its recorded answers."""
