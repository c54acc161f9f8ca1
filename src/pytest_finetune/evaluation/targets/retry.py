"""Retries a request until it is answered or its deadline has passed, and honours the server's `Retry-After`."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from math import inf, isfinite
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Completion, Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

TRIES = 8
"""Maximum number of calls for one answer."""

TRIES_IN_VAIN = {"malformed": 3}
"""Lower maximum for kinds of failure that a retry seldom fixes."""

TRIES_UNREACHED = 4
"""Maximum for a server that has never answered: more likely a wrong address than a temporary fault."""

TRANSIENT = frozenset({"connection", "rate_limit", "server", "malformed"})
"""Kinds of failure that a retry may fix, unless they are fatal."""


@dataclass(frozen=True, slots=True)
class Try:
    """The outcome of one call, and the seconds that the server asked to wait; None if it did not ask."""

    outcome: Completion | Failure
    asked_wait: float | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """
    Growing waits with full jitter: uniform between nothing and a bound that doubles from `first` up to `longest`.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    rng: random.Random
    first: float = 0.5
    longest: float = 20.0

    def wait(self, failed: int) -> float:
        """Seconds to wait after the given number of failed tries, at least 1."""
        return self.rng.uniform(0, min(self.longest, self.first * 2 ** (failed - 1)))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """
    Seconds that a server asks clients to wait; None if it does not, or if the value is unusable.

    Reads `retry-after-ms`, then `retry-after` as seconds or as an HTTP date, which is measured from the server's own
    `date` where there is one, else from `now` (Unix time). An overflowing number is an infinite wait.
    """
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        wait = _number(headers.get(name, ""))
        if wait is not None:
            return wait / per_second if wait > 0 else None
    until = _unix_time(headers.get("retry-after", ""))
    if until is None:
        return None
    since = _unix_time(headers.get("date", ""))
    wait = until - (now if since is None else since)
    return wait if wait > 0 else None


class Persistence:
    """
    The retries of one target. A pause that one response asks for applies to all requests.

    Args:
        rng: Source of the jitter.
        sleep, clock: Replaceable in tests; both in seconds.
        remedy: What the user should check if the server never answers.
    """

    def __init__(
        self,
        rng: random.Random | None = None,
        *,
        remedy: str = "",
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backoff = Backoff(rng or random.Random())  # noqa: S311 - jitter, not a secret
        self.remedy, self.sleep, self.clock = remedy, sleep, clock
        self.reached = False
        self.paused_until = -inf

    async def ask(self, call: Callable[[], Awaitable[Try]], deadline: float) -> Completion | Failure:
        """
        The first answer that `call` gets, or the last failure; the call is cancelled after `deadline` seconds.

        A requested wait that exceeds the time left, and a failure that a retry cannot fix, end it at once.
        """
        retries = _Retries(self, deadline)
        try:
            async with asyncio.timeout(deadline):
                return await retries.answer(call)
        except TimeoutError:
            return retries.out_of_time()


class _Retries:
    """The state of one request over its calls."""

    def __init__(self, persistence: Persistence, deadline: float) -> None:
        self.persistence, self.deadline = persistence, deadline
        self.started = persistence.clock()
        self.failed = 0
        self.last: Failure | None = None

    @property
    def left(self) -> float:
        return self.deadline - (self.persistence.clock() - self.started)

    async def answer(self, call: Callable[[], Awaitable[Try]]) -> Completion | Failure:
        persistence = self.persistence
        while True:
            if persistence.paused_until > -inf and (refused := await self._sit_out()):
                return refused
            sent = persistence.clock()
            tried = await call()
            if isinstance(tried.outcome, Completion):
                persistence.reached = True
                return replace(tried.outcome, latency=persistence.clock() - sent, retries=self.failed)
            if ended := await self._after(tried.outcome, tried.asked_wait):
                return ended

    async def _sit_out(self) -> Failure | None:
        """Wait out a pause, plus a random time, so that the requests do not all return at the same moment."""
        persistence = self.persistence
        wait = persistence.paused_until - persistence.clock()
        if wait <= 0:
            return None
        spare = self.left - wait
        if spare < 0:
            return self._too_long(wait, self.last or Failure("rate_limit", "the server asked for a pause"))
        await persistence.sleep(wait + min(persistence.backoff.wait(1), spare / 2))
        return None

    async def _after(self, failure: Failure, asked_wait: float | None) -> Failure | None:
        """Wait before the next call; return the failure if there is to be none."""
        self.failed += 1
        self.last = failure
        persistence = self.persistence
        persistence.reached |= failure.kind != "connection"
        if failure.fatal or failure.kind not in TRANSIENT:
            return self._ended(failure)
        if asked_wait is not None:
            if asked_wait > self.left:
                return self._too_long(asked_wait, failure)
            persistence.paused_until = max(persistence.paused_until, persistence.clock() + asked_wait)
        if self.failed >= self._tries(failure):
            return self._ended(failure)
        return await self._back_off(failure) if asked_wait is None else None

    async def _back_off(self, failure: Failure) -> Failure | None:
        wait = self.persistence.backoff.wait(self.failed)
        if wait >= self.left:
            return self._ended(failure)
        await self.persistence.sleep(wait)
        return None

    def _tries(self, failure: Failure) -> int:
        if failure.kind == "connection" and not self.persistence.reached:
            return TRIES_UNREACHED
        return TRIES_IN_VAIN.get(failure.kind, TRIES)

    def out_of_time(self) -> Failure:
        last = self.last
        if last is not None and last.kind == "connection" and not self.persistence.reached:
            return self._ended(last)
        after = f"; the try before: {last.message}" if last else ""
        return self._ended(Failure("timeout", f"no whole answer within {self.deadline:g} s{after}"), cut_short=True)

    def _too_long(self, wait: float, failure: Failure) -> Failure:
        length = f"{wait:.0f} s" if isfinite(wait) else "forever"
        message = f"{failure.message}; it asks to wait {length}, past the deadline of {self.deadline:g} s"
        return self._ended(replace(failure, message=message))

    def _ended(self, failure: Failure, *, cut_short: bool = False) -> Failure:
        """The failure as recorded in the sample. A call that the deadline cut short is not counted in `failed` yet."""
        latency = self.persistence.clock() - self.started
        failure = replace(failure, latency=latency, retries=self.failed if cut_short else max(0, self.failed - 1))
        if failure.kind != "connection" or self.persistence.reached:
            return failure
        return replace(failure, fatal=True, message=f"{failure.message}; {self.persistence.remedy}".rstrip("; "))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if number != number else number  # noqa: PLR0124 - only NaN differs from itself


def _unix_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
