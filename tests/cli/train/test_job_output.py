"""What `train watch` prints on a terminal: a bar below the events, and messages that the bar never overwrites."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from terminal_screen import own_terminal

from pytest_finetune.cli.train.job_output import JobOutput, JsonJobOutput
from pytest_finetune.lifecycle.training.curves import Pace
from pytest_finetune.lifecycle.training.job import FineTuningEvent, FineTuningJob
from pytest_finetune.lifecycle.training.money import TrainingPrices
from pytest_finetune.lifecycle.training.polling import ConnectionLost, ConnectionRestored

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
RUNNING = FineTuningJob("ftjob-1", "running")


def event(number, message, **data):
    return FineTuningEvent(f"e{number}", NOON + timedelta(seconds=number), "info", message, data)


def step(number):
    return event(number, f"Step {number}/4: loss 0.5", step=number, total_steps=4, train_loss=0.5)


def test_steps_move_a_bar_and_other_events_are_lines_above_it():
    with own_terminal() as screen:
        output = JobOutput(Pace())
        output.show(event(0, "Training started"))
        for number in (1, 2):
            output.show(step(number))
            output.show(RUNNING)
        started, bar = screen()
        assert started == "12:00:00  Training started"
        assert bar.startswith("[##########----------]  step 2/4  loss 0.5")
        output.show(event(3, "Checkpoint created"))
        assert screen() == [started, "12:00:03  Checkpoint created"]


def test_the_bar_goes_with_the_job():
    with own_terminal() as screen:
        output = JobOutput(Pace())
        output.show(RUNNING)
        assert screen() == ["running"]
        output.clear_bar()
        output.show(FineTuningJob("ftjob-1", "cancelled"))
        assert screen() == [""]


def test_a_lost_connection_and_a_pause_are_lines_above_the_bar():
    with own_terminal() as screen:
        output = JobOutput(Pace())
        output.show(RUNNING)
        output.show(ConnectionLost("cannot connect"))
        output.show(ConnectionRestored(2.4))
        for _ in range(2):
            output.show(FineTuningJob("ftjob-1", "paused"))
        assert screen() == [
            "cannot connect; retrying",
            "the server is back after 2 s",
            "paused; to resume: pytest-finetune train resume ftjob-1",
            "paused",
        ]


def test_json_lines_name_each_change_once(capsys):
    output = JsonJobOutput(Pace(), TrainingPrices("http://127.0.0.1:1/v1"))
    for update in (RUNNING, step(1), RUNNING, ConnectionLost("cannot connect"), ConnectionRestored(2.4)):
        output.show(update)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["status", "event", "lost", "back"]
    assert (lines[2]["problem"], lines[3]["seconds"]) == ("cannot connect", 2.4)
