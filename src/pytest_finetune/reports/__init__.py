"""Turns records into text for people. No control code that a model wrote reaches a terminal."""
