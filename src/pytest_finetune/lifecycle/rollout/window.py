"""An error rate over a sliding time window."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SLOTS = 60
"""Slots of a window. A whole slot is dropped at once, so a call may be dropped up to a sixtieth of the window early."""

_SUPPOSED_CALLS, _SUPPOSED_FAILED = 20, 1


@dataclass(slots=True)
class Counts:
    """Number of calls, of failed ones and of those with a known latency, and the sum of these latencies in seconds."""

    calls: int = 0
    failed: int = 0
    timed: int = 0
    seconds: float = 0.0

    def add(self, other: Counts, sign: int = 1) -> None:
        """Add, or with `sign=-1` subtract."""
        self.calls += sign * other.calls
        self.failed += sign * other.failed
        self.timed += sign * other.timed
        self.seconds += sign * other.seconds


class ErrorRate:
    """
    The outcomes of one version's calls over the last seconds.

    Args:
        seconds: Length of the window, above 0.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._slots: deque[tuple[int, Counts]] = deque()
        self._sum = Counts()

    def add(self, now: float, *, ok: bool, latency: float | None = None) -> None:
        """Count one call that ended at `now`, in monotonic seconds."""
        self._forget(now)
        call = Counts(1, not ok, latency is not None, latency or 0.0)
        slot = self._slot(now)
        if not self._slots or self._slots[-1][0] < slot:
            self._slots.append((slot, Counts()))
        self._slots[-1][1].add(call)
        self._sum.add(call)

    def at(self, now: float) -> Counts:
        """The counts in the window; the caller must not change them."""
        self._forget(now)
        return self._sum

    def estimate(self, now: float) -> float:
        """The error rate in (0, 1), with a prior of 1 failure in 20 calls, so that it is sensible for few calls."""
        recent = self.at(now)
        return (recent.failed + _SUPPOSED_FAILED) / (recent.calls + _SUPPOSED_CALLS)

    def _slot(self, now: float) -> int:
        return int(now * SLOTS // self.seconds)

    def _forget(self, now: float) -> None:
        oldest = self._slot(now) - SLOTS
        while self._slots and self._slots[0][0] <= oldest:
            self._sum.add(self._slots.popleft()[1], -1)
