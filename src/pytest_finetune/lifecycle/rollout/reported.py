"""What callers report, read with care: a value that says nothing is told apart, and no value whatever raises."""

from __future__ import annotations

from math import inf
from numbers import Real


def outcome(ok: object) -> bool | None:
    """Whether a call went well; None where that is neither true nor false. NumPy's own truth values are taken too."""
    try:
        return bool(ok) if ok in (True, False) else None
    except Exception:  # noqa: BLE001 - what a foreign object raises on being compared is its own affair
        return None


def seconds(latency: object) -> float | None:
    """How long a call took; None where that is no finite number from 0 on."""
    try:
        taken = float(latency) if not isinstance(latency, bool) and isinstance(latency, Real) else -1.0
    except Exception:  # noqa: BLE001 - as above
        return None
    return taken if 0 <= taken < inf else None


def described(value: object) -> str:
    """A value for a log line: text and numbers as they are written, at most 80 characters, all else by its type."""
    return repr(value)[:80] if type(value) in (str, float, bool) else f"a value of type {type(value).__name__}"
