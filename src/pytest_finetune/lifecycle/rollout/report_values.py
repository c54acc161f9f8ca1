"""Validation of the values that callers report; nothing here raises, whatever the value."""

from __future__ import annotations

from math import inf
from numbers import Real


def read_outcome(ok: object) -> bool | None:
    """Whether a call succeeded; None if the value is not a truth value. NumPy's booleans are accepted too."""
    try:
        return bool(ok) if ok in (True, False) else None
    except Exception:  # noqa: BLE001 - comparing a foreign object may raise anything
        return None


def read_latency(latency: object) -> float | None:
    """A latency in seconds; None if the value is not a finite number of at least 0."""
    try:
        taken = float(latency) if not isinstance(latency, bool) and isinstance(latency, Real) else -1.0
    except Exception:  # noqa: BLE001 - as above
        return None
    return taken if 0 <= taken < inf else None


def describe_value(value: object) -> str:
    """A value for a log line: strings and numbers by their repr, at most 80 characters, others by their type."""
    return repr(value)[:80] if type(value) in (str, float, bool) else f"a value of type {type(value).__name__}"
