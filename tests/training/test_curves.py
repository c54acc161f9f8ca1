"""Losses from result files and events, and how far a job is."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.training.curves import LossPoint, Pace, curves_of_events, read_result_file, step_of
from pytest_finetune.lifecycle.training.job import FineTuningEvent, FineTuningJob

CSV = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.1,,\n2,1.5,0.5,2.0,0.4\n"
START = datetime(2026, 11, 1, tzinfo=UTC)


def event(number, message="", seconds=None, **data):
    at = START + timedelta(seconds=number if seconds is None else seconds)
    return FineTuningEvent(f"e{number}", at, "info", message, data)


@pytest.mark.parametrize("data", [CSV, b64encode(CSV), b64encode(CSV) + b"\n", b"\xef\xbb\xbf" + CSV])
def test_a_result_file_is_read_as_text_and_in_base64(data):
    curves = read_result_file(data)
    assert curves.points == (LossPoint(1, 2.5), LossPoint(2, 1.5, 2.0))
    assert (curves.train, curves.valid) == ([(1, 2.5), (2, 1.5)], [(2, 2.0)])


@given(st.binary())
def test_any_other_file_has_no_points_or_finite_ones(data):
    assert all(point.step >= 0 for point in read_result_file(data).points)


def test_values_that_are_not_numbers_are_left_out():
    assert read_result_file(b"step,train_loss,valid_loss\nx,1,1\n3,nan,inf\n4,,\n").points == (
        LossPoint(3),
        LossPoint(4),
    )


def test_a_step_is_read_from_the_event_s_data():
    step = step_of(event(1, step=3, total_steps=9, train_loss=0.5, valid_loss=0.75))
    assert (step.step, step.total, step.train, step.valid) == (3, 9, 0.5, 0.75)


def test_without_data_a_step_is_read_from_the_message():
    step = step_of(event(1, "Step 100/303: training loss=0.14, validation loss=0.51"))
    assert (step.step, step.total, step.train, step.valid) == (100, 303, 0.14, 0.51)
    step = step_of(event(1, "Step 7: training loss=1.25"))
    assert (step.step, step.total, step.train, step.valid) == (7, None, 1.25, None)


@pytest.mark.parametrize("words", ["Fine-tuning job started", "Checkpoint created at step 7", "Step by step"])
def test_other_events_are_not_steps(words):
    assert step_of(event(1, words)) is None


def test_the_full_validation_loss_takes_precedence():
    assert step_of(event(1, step=3, valid_loss=0.75, full_valid_loss=0.5)).valid == 0.5


def test_a_repeated_step_has_its_last_loss():
    events = [event(1, step=1, train_loss=2.0), event(2, step=2, train_loss=1.5), event(3, step=2, train_loss=1.0)]
    assert curves_of_events(events).train == [(1, 2.0), (2, 1.0)]


def test_the_time_left_follows_the_pace_so_far():
    pace = Pace()
    assert pace.add(event(10, step=1, total_steps=10))
    assert not pace.add(event(11, "Checkpoint created"))
    assert pace.add(event(16, step=4, total_steps=10))
    assert pace.left(None, START + timedelta(seconds=16)) == 12
    assert pace.left(None, START + timedelta(seconds=20)) == 8
    assert pace.left(None, START + timedelta(seconds=99)) == 0


def test_the_server_s_estimate_takes_precedence():
    job = FineTuningJob("j", "running", estimated_finish=START + timedelta(seconds=60))
    assert Pace().left(job, START) == 60


def test_one_step_gives_no_pace():
    pace = Pace()
    pace.add(event(1, step=1, total_steps=10))
    assert pace.left(None, START) is None


def test_a_return_to_a_checkpoint_restarts_the_pace():
    pace = Pace()
    for number, seconds in ((1, 0), (8, 7), (5, 100), (6, 102)):
        pace.add(event(number, seconds=seconds, step=number, total_steps=10))
    assert pace.left(None, START + timedelta(seconds=102)) == 8
