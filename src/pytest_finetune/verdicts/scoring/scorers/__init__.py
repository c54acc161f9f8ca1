"""The built-in scorers: one module per scorer, named as in the settings, holding one subclass of `Scorer`."""
