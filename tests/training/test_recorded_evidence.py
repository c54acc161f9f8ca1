"""Evidence from run records: the eval set that is meant, and the accuracy of checkpoints from earlier runs."""

from __future__ import annotations

import pytest
from recorded_runs import Recorder, plan

from pytest_finetune.base.errors import RunError
from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint
from pytest_finetune.lifecycle.training.recorded_evidence import eval_set_plan, learning_curve


@pytest.fixture
def record(tmp_path, monkeypatch):
    return Recorder(tmp_path, monkeypatch)


def test_the_only_eval_set_of_a_run_needs_no_name(record):
    run = record("ppm", plans=[plan("tickets")])
    assert eval_set_plan(run).name == eval_set_plan(run, "tickets").name == "tickets"
    with pytest.raises(RunError, match="the run has no eval set 'ticket'") as caught:
        eval_set_plan(run, "ticket")
    assert "did you mean 'tickets'?" in str(caught.value.hint)


def test_of_several_eval_sets_one_is_chosen_by_name(record):
    run = record("ppm", plans=[plan("tickets"), plan("mails")])
    assert eval_set_plan(run, "mails").name == "mails"
    with pytest.raises(RunError, match="the run has 2 eval sets") as caught:
        eval_set_plan(run)
    assert caught.value.hint == "choose one with --eval-set: tickets, mails"


def test_a_checkpoint_has_its_accuracy_from_the_newest_closed_run_over_the_same_cases(record):
    plans = [plan()]
    record("mmm", spec="ft:m:2", plans=plans)
    record("ppm", spec="ft:m:2", plans=plans)
    record("p..", spec="ft:m:2", plans=plans, closed=False)
    record("ppp", spec="ft:m:4", plans=[plan(cases_sha256="d" * 64)])
    changed, damaged = (record("ppp", spec="ft:m:4", plans=plans) for _ in range(2))
    (changed.path / "samples.jsonl").write_text("", "utf-8")
    (damaged.path / "manifest.json").write_text("{", "utf-8")
    checkpoints = [
        FineTuningCheckpoint("c2", "ft:m:2", 2, metrics={"valid_loss": 0.5}),
        FineTuningCheckpoint("c4", "ft:m:4", 4),
    ]

    first, second = learning_curve(checkpoints, record.store, plans[0])

    assert (first.step, first.accuracy.count, first.accuracy.cases) == (2, 2, 3)
    assert (second.step, second.accuracy) == (4, None)
