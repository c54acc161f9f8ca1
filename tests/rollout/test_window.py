from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.rollout.window import SLOTS, ErrorRate

calls = st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.none() | st.floats(0, 9)), max_size=60)


def figures(counts):
    return counts.calls, counts.failed


def test_calls_older_than_the_window_are_forgotten():
    rate = ErrorRate(60.0)
    for _ in range(10):
        rate.add(0.0, ok=False)
    rate.add(59.0, ok=True)
    assert figures(rate.at(59.0)) == (11, 10)
    assert figures(rate.at(60.0)) == (1, 0)
    assert figures(rate.at(1e6)) == (0, 0)


@given(calls, st.floats(1, 300))
def test_the_window_holds_exactly_the_calls_of_its_slots(steps, seconds):
    rate, now, added = ErrorRate(seconds), 5.0, []
    for wait, ok, latency in steps:
        now += wait
        rate.add(now, ok=ok, latency=latency)
        added.append((int(now * SLOTS // seconds), ok, latency))
    inside = [(ok, latency) for slot, ok, latency in added if slot > int(now * SLOTS // seconds) - SLOTS]
    found = rate.at(now)
    assert figures(found) == (len(inside), sum(not ok for ok, _ in inside))
    assert found.timed == sum(latency is not None for _, latency in inside)
    assert found.seconds == pytest.approx(sum(latency or 0 for _, latency in inside), abs=1e-6)


def test_memory_is_bounded_by_the_number_of_slots():
    rate = ErrorRate(60.0)
    for number in range(10_000):
        rate.add(number * 0.1, ok=True)
    assert len(rate._slots) <= SLOTS


def test_the_estimate_is_neither_0_nor_1():
    rate = ErrorRate(60.0)
    assert rate.estimate(0.0) == 1 / 20
    rate.add(0.0, ok=False)
    assert rate.estimate(0.0) == 2 / 21
