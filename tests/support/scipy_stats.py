"""`scipy.stats`, imported when a test first uses it: it takes seconds, and each xdist worker collects all tests."""

from __future__ import annotations

from importlib import import_module


def __getattr__(name):
    # pytest asks each name of a test module for some of these while it collects.
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(import_module("scipy.stats"), name)
