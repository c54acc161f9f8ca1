"""Retries, waits and the shared pause, on a clock that advances only by sleeping."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.evaluation.targets.retry import TRIES, Backoff, Persistence, Try, retry_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OK = Try(Completion("ok"))
BUSY = Try(Failure("server", "HTTP 503", 503))
DOWN = Try(Failure("connection", "no connection"))


class Clock:
    """A clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class HalfWay(random.Random):
    """A random generator that always returns the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def persistence(clock: Clock) -> Persistence:
    return Persistence(HalfWay(), remedy="check the address", sleep=clock.sleep, clock=clock)


def script(*tries: Try) -> Callable[[], Awaitable[Try]]:
    """A call with these outcomes in turn; the last one repeats."""
    left = list(tries)

    async def call() -> Try:
        return left.pop(0) if len(left) > 1 else left[0]

    return call


def ask(clock: Clock, *tries: Try, deadline: float = 120.0) -> Completion | Failure:
    return asyncio.run(persistence(clock).ask(script(*tries), deadline))


def test_waits_double_up_to_a_limit() -> None:
    clock = Clock()
    ask(clock, BUSY, deadline=1e6)
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0]


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_jitter_is_between_zero_and_the_bound(seed: int, failed: int) -> None:
    assert 0 <= Backoff(random.Random(seed)).wait(failed) <= 20


def test_jitter_comes_from_the_given_rng() -> None:
    waits = [[Backoff(random.Random(seed)).wait(3) for _ in range(2)] for seed in (1, 1, 2)]
    assert waits[0] == waits[1] != waits[2]


@pytest.mark.parametrize(
    ("kind", "tries"), [("server", 8), ("rate_limit", 8), ("malformed", 3), ("connection", 4), ("bad_request", 1)]
)
def test_each_kind_of_failure_has_its_number_of_attempts(kind: str, tries: int) -> None:
    outcome = ask(Clock(), Try(Failure(kind, "x")), deadline=1e6)
    assert isinstance(outcome, Failure)
    assert outcome.retries == tries - 1


def test_a_fatal_failure_is_not_retried() -> None:
    clock = Clock()
    outcome = ask(clock, Try(Failure("rate_limit", "x", fatal=True)), OK)
    assert isinstance(outcome, Failure)
    assert clock.slept == []


def test_a_wait_that_would_reach_the_deadline_is_not_started() -> None:
    clock = Clock()
    outcome = ask(clock, BUSY, deadline=1.0)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.retries, outcome.latency) == ("server", 2, 0.75)


def test_the_latency_is_that_of_the_call_that_succeeded() -> None:
    clock = Clock()

    async def call() -> Try:
        clock.now += 0.125
        return BUSY if len(clock.slept) < 2 else OK

    outcome = asyncio.run(persistence(clock).ask(call, 120))
    assert isinstance(outcome, Completion)
    assert (outcome.latency, outcome.retries) == (0.125, 2)


def test_a_requested_wait_is_kept_with_some_jitter() -> None:
    clock = Clock()
    outcome = ask(clock, Try(BUSY.outcome, 7.0), OK)
    assert isinstance(outcome, Completion)
    assert clock.slept == [7.25]


@pytest.mark.parametrize(("wait", "wait_text"), [(300.0, "300 s"), (float("inf"), "forever")])
def test_a_requested_wait_past_the_deadline_ends_the_request_at_once(wait: float, wait_text: str) -> None:
    clock = Clock()
    outcome = ask(clock, Try(Failure("rate_limit", "HTTP 429"), wait), OK)
    assert isinstance(outcome, Failure)
    assert outcome.message == f"HTTP 429; it asks to wait {wait_text}, past the deadline of 120 s"
    assert clock.slept == []


def test_a_requested_pause_applies_to_all_requests() -> None:
    clock = Clock()

    async def run() -> list[float]:
        shared = persistence(clock)
        await shared.ask(script(Try(BUSY.outcome, 10.0), BUSY, Try(Failure("bad_request", "x"))), 120)
        clock.now -= 5
        clock.slept.clear()
        await shared.ask(script(OK), 120)
        return clock.slept

    # 4.25 s are left of the ten, for the other slept 0.75 s more; 0.25 s are its own.
    assert asyncio.run(run()) == [4.5]


def test_a_pause_past_one_deadline_does_not_stop_the_others() -> None:
    clock = Clock()

    async def run() -> Completion | Failure:
        shared = persistence(clock)
        await shared.ask(script(Try(BUSY.outcome, 300.0)), 120)
        return await shared.ask(script(OK), 120)

    assert isinstance(asyncio.run(run()), Completion)
    assert clock.slept == []


def test_a_request_with_less_time_than_the_pause_ends_at_once() -> None:
    clock = Clock()

    async def run() -> Completion | Failure:
        shared = persistence(clock)
        shared.paused_until = clock.now + 50
        return await shared.ask(script(OK), 20)

    outcome = asyncio.run(run())
    assert isinstance(outcome, Failure)
    assert outcome.kind == "rate_limit"
    assert "asks to wait 50 s" in outcome.message


def test_a_server_that_was_never_reached_is_fatal_with_a_remedy() -> None:
    outcome = ask(Clock(), DOWN)
    assert isinstance(outcome, Failure)
    assert (outcome.fatal, outcome.retries) == (True, 3)
    assert outcome.message == "no connection; check the address"


def test_after_one_answer_a_lost_connection_fails_only_its_sample() -> None:
    outcome = ask(Clock(), BUSY, DOWN, deadline=1e6)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal, outcome.retries) == ("connection", False, TRIES - 1)


def test_a_call_that_never_returns_is_cut_off_at_the_deadline() -> None:
    async def call() -> Try:
        await asyncio.Event().wait()
        raise AssertionError

    outcome = asyncio.run(Persistence().ask(call, 0.01))
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.retries) == ("timeout", 0)


NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date in RFC 9110


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e999"}, float("inf")),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:48:37 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "Sun, 06 Nov 1994 08:50:27 GMT"}, 10.0),
        ({"retry-after": "Sun, 99 Nov 99999 08:50:37 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers, NOW) == wait


@given(st.text(), st.text(), st.text())
def test_any_retry_after_is_a_positive_wait_or_none(seconds: str, milliseconds: str, date: str) -> None:
    wait = retry_after({"retry-after": seconds, "retry-after-ms": milliseconds, "date": date}, NOW)
    assert wait is None or wait > 0
