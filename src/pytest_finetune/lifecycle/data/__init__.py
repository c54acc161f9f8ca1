"""Preparing, checking, splitting, pricing and profiling training data; nothing in this package prints."""
