"""Progress of a session, counted as samples arrive: what the live line shows."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.base.records import Sample

RECENT = 200
"""Latest samples that the pace is measured over, so that a burst from the cache soon stops to count."""

ENOUGH = 10
"""Samples needed before a pace is meaningful."""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    The progress of a session.

    Args:
        planned: Samples in total; 0 if unknown.
        done: Samples that have arrived.
        in_flight: Requests waiting for an answer; None if unknown.
        errors: Samples that ended in an error.
        accuracy: Share of passes among the samples of each model so far, errors counted, in the order of the models;
            None for a model that has none yet.
        cost: US dollars so far; None where the price of any answer is unknown.
        left: Estimated seconds until the rest has arrived, at the pace of the last `RECENT`; None while unknown.
    """

    planned: int
    done: int
    in_flight: int | None
    errors: int
    accuracy: tuple[float | None, ...]
    cost: Decimal | None
    left: float | None


class Tally:
    """
    Counts for all models of a session, from any thread.

    Args:
        models: Specs of the models whose accuracy is shown.
        sends_requests: This process sends the requests, so the number in flight is known.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self, models: Sequence[str], *, sends_requests: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._sends_requests = clock, sends_requests
        self._scored: dict[str, Counter[bool]] = {model: Counter() for model in models}
        self._lock = threading.Lock()
        self._planned = self._done = self._in_flight = self._errors = 0
        self._cost: Decimal | None = Decimal(0)
        self._begun: float | None = None
        self._arrivals: deque[float] = deque(maxlen=RECENT)

    def plan(self, samples: int) -> None:
        """Expect this many more samples."""
        with self._lock:
            self._planned += samples

    def count_sent(self) -> None:
        """Count a request as sent."""
        with self._lock:
            self._in_flight += 1
            if self._begun is None:
                self._begun = self._clock()

    def count_answered(self) -> None:
        """Count a request as answered."""
        with self._lock:
            self._in_flight -= 1

    def count_sample(self, model: str, sample: Sample, *, earlier: bool = False) -> None:
        """Count a sample as arrived; one from an `earlier` session does not affect the pace."""
        with self._lock:
            self._done += 1
            if not earlier:
                self._begun = self._clock() if self._begun is None else self._begun
                self._arrivals.append(self._clock())
            if sample.state is State.UNNEEDED:
                return
            self._errors += sample.state is State.ERROR
            if model in self._scored:
                self._scored[model][sample.state is State.PASSED] += 1
            cost = sample.total_cost
            self._cost = None if self._cost is None or cost is None else self._cost + cost

    def progress(self) -> Progress:
        """The current figures."""
        with self._lock:
            return Progress(
                self._planned,
                self._done,
                self._in_flight if self._sends_requests else None,
                self._errors,
                tuple(_share(counts) for counts in self._scored.values()),
                self._cost,
                self._left(),
            )

    def _left(self) -> float | None:
        """None until as many have arrived as are in flight: before that, only the fastest answers are known."""
        rest, count = self._planned - self._done, len(self._arrivals)
        if self._begun is None or rest <= 0 or count < ENOUGH or (count < RECENT and count < self._in_flight):
            return None
        since, answers = (self._arrivals[0], count - 1) if count == RECENT else (self._begun, count)
        return rest * (self._clock() - since) / answers


def _share(counts: Counter[bool]) -> float | None:
    return counts[True] / counts.total() if counts.total() else None
