"""An eval set over its recorded runs: which cases are flaky, which were lost, and what counts as neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from recorded_runs import TICKETS, Recorder, plan, sample

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.runs.history_reading import set_history

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(tmp_path, monkeypatch)


def flaky(record: Recorder) -> list[tuple[str, int, int, int]]:
    return [(one.case, one.passed, one.runs, one.mixed) for one in set_history(record.store, TICKETS).flaky]


def lost(record: Recorder, model: str = "") -> list[tuple[str, str, str, bool]]:
    return [
        (one.case, one.last_passed.manifest.target.model, one.lost.manifest.target.model, one.set_changed)
        for one in set_history(record.store, TICKETS, model=model).lost
    ]


def test_a_case_is_flaky_if_repetitions_disagree(record: Recorder) -> None:
    for letters in ("pmp", "ppp", "pmm", "emm"):
        record(letters)
    assert flaky(record) == [("case-02", 2, 4, 0), ("case-01", 1, 4, 0)]


def test_runs_of_other_models_or_other_settings_are_no_repetitions(record: Recorder) -> None:
    record("p")
    record("m", spec="ft:b")
    record("m", plans=[plan(cases=1, settings_sha256="6" * 64)])
    record("m", plans=[plan(cases=1, cases_sha256="d" * 64)])
    record("m", plans=[plan(cases=1, schema_sha256="7" * 64)])
    assert flaky(record) == []


def test_errors_and_missing_answers_are_no_outcome(record: Recorder) -> None:
    for letters in ("pp", "e.", "pp"):
        record(letters, plans=[plan(cases=2)])
    assert flaky(record) == []
    assert lost(record) == []


def test_attempts_of_one_run_that_disagree_make_a_case_flaky(record: Recorder) -> None:
    record(["pmp", "ppp", "mmm", "pe."])
    assert flaky(record) == [("case-00", 0, 1, 1)]


def test_a_lost_case_names_the_model_that_lost_it_and_the_last_that_passed(record: Recorder) -> None:
    record("ppm", spec="ft:v1")
    record("pem", spec="ft:v2")
    record("mmp", spec="ft:v3")
    record("m.p", spec="ft:v4", plans=[plan()])
    assert lost(record) == [("case-00", "ft:v2", "ft:v3", False), ("case-01", "ft:v1", "ft:v3", False)]


def test_a_case_that_passes_again_is_not_lost(record: Recorder) -> None:
    for letters in ("p", "m", "p"):
        record(letters)
    assert lost(record) == []


def test_with_another_prompt_it_is_another_question(record: Recorder) -> None:
    record("p")
    record("m", prompt="asked otherwise", plans=[plan(cases=1, cases_sha256="d" * 64)])
    assert lost(record) == []


def test_a_loss_tells_whether_the_eval_set_changed(record: Recorder) -> None:
    record("p")
    record("m", plans=[plan(cases=1, cases_sha256="d" * 64)])
    assert lost(record) == [("case-00", "ft:a", "ft:a", True)]


def test_only_runs_of_the_chosen_model_count(record: Recorder) -> None:
    record("p", spec="ft:mine")
    record("m", spec="base")
    assert lost(record) == [("case-00", "ft:mine", "base", False)]
    assert lost(record, "mine") == []


def test_a_point_counts_what_was_not_requested_apart(record: Recorder) -> None:
    record("pme.", closed=False, plans=[plan(cases=5)])
    (point,) = set_history(record.store, TICKETS).points
    assert (point.asked, point.counts[State.PASSED], point.counts[State.UNRUN], point.doubt) == (3, 1, 2, "open")


def test_an_edited_record_is_marked(record: Recorder) -> None:
    run = record("p")
    path = run.path / "manifest.json"
    path.write_text(path.read_text("utf-8").replace('"passed": 1', '"passed": 2'), "utf-8")
    (point,) = set_history(record.store, TICKETS).points
    assert point.doubt


def test_records_that_cannot_be_read_are_named_and_hide_no_others(record: Recorder) -> None:
    record("p")
    torn = record("pp", closed=False)
    lines = torn.path / "samples.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b"bug", b"bog"))
    history = set_history(record.store, TICKETS)
    assert (len(history.points), list(history.unreadable)) == (1, [torn.id])


def test_one_case_over_its_runs(record: Recorder) -> None:
    record("p")
    record("m", more=[sample("late", "p")], plans=[plan(cases=2)])
    history = set_history(record.store, TICKETS)
    assert [outcome.state for _, outcome in history.of_case("case-00")] == [State.PASSED, State.MISSED]
    assert [point.manifest.id[:15] for point, _ in history.of_case("late")] == ["20260301T140000"]


@pytest.mark.parametrize(
    ("eval_set", "model", "problem", "hint"),
    [
        ("eval_sets/other.jsonl", "", "no run of eval_sets/other.jsonl", f"runs are over {TICKETS}"),
        (TICKETS, "gpt-9", f"no run of a model named 'gpt-9' over {TICKETS}", "there are runs of ft:a"),
    ],
)
def test_nothing_found_says_what_there_is(record: Recorder, eval_set: str, model: str, problem: str, hint: str) -> None:
    record("p")
    with pytest.raises(RunError) as refusal:
        set_history(record.store, eval_set, model=model)
    assert (refusal.value.problem, refusal.value.hint) == (problem, hint)


def test_without_any_run_it_says_what_to_do(record: Recorder) -> None:
    with pytest.raises(RunError, match="no run of"):
        set_history(record.store, TICKETS)
