"""How far the asking has come, counted as samples come in; what a person who waits wants to know."""

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
"""Samples that the pace is taken from, so that a burst from the cache is soon forgotten."""

ENOUGH = 10
"""Samples before a pace says anything."""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a session is.

    Args:
        planned: Samples there will be; 0 where that is not known.
        done: Samples that are there.
        in_flight: Questions that are with the model; None where that is not known.
        errors: Samples that ended in an error.
        accuracy: Share of passes among the samples of each model so far, errors counted, in the order of the models;
            None for a model that has none yet.
        cost: US dollars so far; None where the price of any answer is unknown.
        left: Seconds until the rest is there, at the pace of the last `RECENT`; None before there is a pace.
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
        models: Specs of the models whose accuracy is told.
        asks: The questions are asked in this process, so that those in flight are known.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self, models: Sequence[str], *, asks: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._asks = clock, asks
        self._scored: dict[str, Counter[bool]] = {model: Counter() for model in models}
        self._lock = threading.Lock()
        self._planned = self._done = self._in_flight = self._errors = 0
        self._cost: Decimal | None = Decimal(0)
        self._begun: float | None = None
        self._came: deque[float] = deque(maxlen=RECENT)

    def plan(self, samples: int) -> None:
        """So many samples more will come."""
        with self._lock:
            self._planned += samples

    def ask(self) -> None:
        """A question goes out."""
        with self._lock:
            self._in_flight += 1
            if self._begun is None:
                self._begun = self._clock()

    def land(self) -> None:
        """A question is back."""
        with self._lock:
            self._in_flight -= 1

    def come(self, model: str, sample: Sample, *, earlier: bool = False) -> None:
        """A sample is there; one from an `earlier` session says nothing of the pace."""
        with self._lock:
            self._done += 1
            if not earlier:
                self._begun = self._clock() if self._begun is None else self._begun
                self._came.append(self._clock())
            if sample.state is State.UNNEEDED:
                return
            self._errors += sample.state is State.ERROR
            if model in self._scored:
                self._scored[model][sample.state is State.PASSED] += 1
            self._cost = None if self._cost is None or sample.cost is None else self._cost + sample.cost

    def progress(self) -> Progress:
        """The figures of this moment."""
        with self._lock:
            return Progress(
                self._planned,
                self._done,
                self._in_flight if self._asks else None,
                self._errors,
                tuple(_share(counts) for counts in self._scored.values()),
                self._cost,
                self._left(),
            )

    def _left(self) -> float | None:
        """The whole first wave has to be back: before that, only the quickest answers are."""
        rest, count = self._planned - self._done, len(self._came)
        if self._begun is None or rest <= 0 or count < ENOUGH or (count < RECENT and count < self._in_flight):
            return None
        since, answers = (self._came[0], count - 1) if count == RECENT else (self._begun, count)
        return rest * (self._clock() - since) / answers


def _share(counts: Counter[bool]) -> float | None:
    return counts[True] / counts.total() if counts.total() else None
