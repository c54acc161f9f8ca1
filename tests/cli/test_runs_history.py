"""`pytest-finetune runs history`: the chart, one case, the page, JSON and refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from recorded_runs import TICKETS, Recorder, plan

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import VerdictRecord
from pytest_finetune.verdicts.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def verdict(status: str, value: float, low: float, high: float) -> VerdictRecord:
    rule = Rule("min", bar=0.9, confidence=0.95)
    return VerdictRecord(
        eval_set=TICKETS, gate=rule.label, status=status, value=value, low=low, high=high, planned=20, rule=rule
    )


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Four runs of three models; the third is open, the last lost a case."""
    monkeypatch.chdir(tmp_path)
    record = Recorder(tmp_path, monkeypatch)
    record("p" * 19 + "m", spec="ft:v1", verdicts=[verdict("inconclusive", 0.95, 0.75, 0.99)])
    record("p" * 20, spec="ft:v1", verdicts=[verdict("pass", 1.0, 0.9, 1.0), ("must_pass=critical", "pass")])
    record("pm", spec="ft:a-name-that-is-longer-than-its-column", closed=False, plans=[plan(cases=20)])
    record("m" * 8 + "p" * 12, spec="ft:v3", verdicts=[verdict("fail", 0.6, 0.4, 0.8)])
    return record


def history(*words: str) -> Result:
    return CliRunner().invoke(main, ["runs", "history", *words], prog_name="pytest-finetune")


def test_the_runs_on_one_scale_with_flaky_and_lost_cases(record: Recorder, golden: Callable[[str, str], None]) -> None:
    result = history(TICKETS, "--show", "2")
    golden("runs-history.txt", result.output)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80


def test_one_case_with_its_answers(record: Recorder, golden: Callable[[str, str], None]) -> None:
    result = history(TICKETS, "--case", "case-01")
    golden("runs-history-case.txt", result.output)
    assert "question" not in history(TICKETS, "--case", "case-01", "--redact").output


def test_a_path_from_another_folder_names_the_set(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record.folder / "eval_sets"
    folder.mkdir()
    (folder / "tickets.jsonl").write_text("{}", "utf-8")
    monkeypatch.chdir(folder)
    assert history("tickets.jsonl").output == history(TICKETS).output


def test_the_history_for_programs(record: Recorder) -> None:
    value = json.loads(history(TICKETS, "--json", "--case", "case-19").output)
    assert [run["passed"] for run in value["runs"]] == [19, 20, 1, 12]
    assert value["flaky"] == [{"case": "case-19", "model": "ft:v1", "passed": 1, "runs": 2, "mixed": 0}]
    assert {one["case"]: one["model"] for one in value["lost"]}["case-03"] == "ft:v3"
    assert [one["state"] for one in value["case"]] == ["missed", "passed", "passed"]


def test_the_page_makes_no_request_and_shows_the_same(record: Recorder) -> None:
    result = history(TICKETS, "-o", "history.html")
    page = (record.folder / "history.html").read_text("utf-8")
    assert (result.exit_code, "wrote history.html" in result.output) == (0, True)
    assert all(text in page for text in ("passed in 1 of 2 runs", "ft:v3", "0.600 of 20", 'class="interval fail"'))
    assert not any(text in page for text in ('href="/', "connect-src", "form-action 'self'"))


def test_an_existing_page_is_overwritten_only_with_force(record: Recorder) -> None:
    (record.folder / "history.html").write_text("mine", "utf-8")
    result = history(TICKETS, "-o", "history.html")
    assert (result.exit_code, "the file already exists" in result.output) == (2, True)
    assert (record.folder / "history.html").read_text("utf-8") == "mine"
    assert history(TICKETS, "-o", "history.html", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("other.jsonl",), "no run of other.jsonl"),
        ((TICKETS, "--case", "case-1"), "did you mean 'case-19'?"),
        ((TICKETS, "--model", "gpt"), "no run of a model named 'gpt'"),
    ],
)
def test_what_is_not_there_is_an_error(record: Recorder, words: tuple[str, ...], problem: str) -> None:
    result = history(*words)
    assert (result.exit_code, problem in result.output) == (2, True)
