"""Watching a job: every event once and in order, over lost connections and restarts of the watcher."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job import FineTuningEvent, FineTuningJob
from pytest_finetune.lifecycle.training.polling import (
    LONGEST_WAIT,
    ConnectionLost,
    ConnectionRestored,
    Cursor,
    PollingPolicy,
    follow,
    new_events,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
QUICK = PollingPolicy(interval=1.0, give_up=100.0)


def event(number, *, second=None):
    return FineTuningEvent(
        f"e{number}", START + timedelta(seconds=number if second is None else second), "info", f"event {number}"
    )


class Script:
    """A server that goes through states: a status with the number of events so far, or an error; the last one stays."""

    base_url = "http://127.0.0.1:1/v1"

    def __init__(self, *states):
        self.states, self.now, self.slept = list(states), 0.0, []
        self.known = []

    def job(self, job_id):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        status, events = state
        self.known = [event(number) for number in range(1, events + 1)]
        return FineTuningJob(job_id, status, fine_tuned_model="ft:m" if status == "succeeded" else "")

    def events(self, _job_id):
        return iter(self.known[::-1])

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def follow(self, cursor=None, patience=QUICK):
        return list(follow(self, "j", cursor or Cursor(), patience, sleep=self.sleep, clock=lambda: self.now))


def names(updates):
    return [update.id for update in updates if isinstance(update, FineTuningEvent)]


def statuses(updates):
    return [update.status for update in updates if isinstance(update, FineTuningJob)]


def test_events_are_shown_once_and_in_order():
    updates = Script(("running", 2), ("running", 2), ("running", 5), ("succeeded", 6)).follow()
    assert names(updates) == ["e1", "e2", "e3", "e4", "e5", "e6"]
    assert statuses(updates) == ["running", "running", "running", "succeeded"]


def test_a_second_watcher_shows_only_new_events():
    cursor = Cursor("e2", event(2).created_at)
    assert names(Script(("succeeded", 4)).follow(cursor)) == ["e3", "e4"]


def test_a_job_that_has_ended_is_reported_at_once():
    script = Script(("cancelled", 1))
    assert statuses(script.follow(Cursor("e1", event(1).created_at))) == ["cancelled"]
    assert script.slept == []


def test_an_unknown_status_is_neither_an_end_nor_a_success():
    updates = Script(("defrosting", 0), ("defrosting", 0), ("succeeded", 0)).follow()
    assert statuses(updates) == ["defrosting", "defrosting", "succeeded"]


def test_a_lost_connection_is_reported_once_and_retried_at_growing_intervals():
    silent = [NoAnswerError("no connection") for _ in range(4)]
    script = Script(("running", 1), *silent, ("succeeded", 2))
    updates = script.follow()
    assert [update for update in updates if isinstance(update, ConnectionLost)] == [
        ConnectionLost("http://127.0.0.1:1/v1: no connection")
    ]
    assert [update for update in updates if isinstance(update, ConnectionRestored)] == [ConnectionRestored(15.0)]
    assert names(updates) == ["e1", "e2"]
    assert script.slept == [1, 1, 2, 4, 8]


def test_every_wait_is_bounded():
    script = Script(*[NoAnswerError("no") for _ in range(12)], ("succeeded", 0))
    script.follow(patience=PollingPolicy(1.0, 10_000.0))
    assert max(script.slept) == LONGEST_WAIT


def test_a_server_that_never_answers_ends_the_watch():
    with pytest.raises(TrainingError, match="no answer for 100 s") as caught:
        Script(NoAnswerError("no connection")).follow()
    assert "train watch j" in caught.value.hint


def test_a_rate_limit_is_waited_out():
    script = Script(RefusedError("slow down", status=429, code="rate_limit_exceeded"), ("succeeded", 1))
    assert names(script.follow()) == ["e1"]


@pytest.mark.parametrize(
    ("status", "code"), [(404, ""), (401, "invalid_api_key"), (429, "insufficient_quota"), (429, "billing_not_active")]
)
def test_a_refusal_ends_the_watch(status, code):
    with pytest.raises(RefusedError):
        Script(RefusedError("no", status=status, code=code)).follow()


def test_events_are_shown_even_if_the_server_forgot_the_last_one_seen():
    script = Script(("running", 5))
    script.job("j")
    found = new_events(script, "j", Cursor("gone", event(3).created_at))
    assert [one.id for one in found] == ["e4", "e5"]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.data())
def test_every_event_is_shown_once_however_the_watcher_is_stopped(steps, data):
    """Events arrive in any steps; the watcher is stopped after any update and started again from its cursor."""
    shown, cursor, total = [], Cursor(), 0
    for number, step in enumerate(steps):
        total += step
        last = number == len(steps) - 1
        script = Script(("succeeded" if last else "running", total))
        updates = follow(script, "j", cursor, QUICK, sleep=script.sleep, clock=lambda script=script: script.now)
        stop_after = None if last else data.draw(st.integers(0, 5))
        for seen, update in enumerate(updates):
            if isinstance(update, FineTuningEvent):
                shown.append(update.id)
                cursor = cursor.after(update)
            if isinstance(update, FineTuningJob) or (stop_after is not None and seen >= stop_after):
                break
    assert shown == [f"e{number}" for number in range(1, total + 1)]
