"""A session that was asked for a report and could not write it does not end green, and promotes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GATE = "[[gates]]\nmin = 0.5\n"
REPORTS = ("--finetune-html", "--finetune-markdown")


@pytest.fixture
def candidate(suite, pytester):
    """An eval set with a gate that passes, and a registry with the model as candidate; gives its state."""
    suite(3, toml=GATE)
    backend = FileBackend(pytester.path / "registry.json")
    backend.update(Change("add", "v1", who="test", entry=Entry(model_id="ft:test", created_at=NOW)), now=NOW)
    return lambda: backend.read().entries["v1"].status.value


def in_the_way(pytester, name):
    """A folder appears where the report is to be written, after the check before the first request."""
    code = f"import pathlib\ndef pytest_runtest_logfinish(): pathlib.Path('{name}').mkdir(exist_ok=True)\n"
    pytester.makeconftest(code)


@pytest.mark.parametrize("option", REPORTS)
def test_a_report_that_cannot_be_written_in_the_end_fails_the_session_and_promotes_nothing(
    candidate, evaluate, pytester, option
):
    in_the_way(pytester, "report")
    result = evaluate(f"{option}=report", "--promote", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert candidate() == "candidate"
    result.stdout.fnmatch_lines(
        [
            "- 1 test of this session failed",
            "ft:test ships: 1 of 1 gates passed",
            "warning: *report could not be written: Is a directory",
            f"FAILED {option}::report - could not be written:",
        ]
    )
    assert "report RUN -o PATH writes its page" in pytester.path.joinpath("junit.xml").read_text("utf-8")
    assert evaluate(model="replay:last").ret == 0


def test_one_report_of_two_is_enough_to_fail(candidate, evaluate, pytester):
    in_the_way(pytester, "page.html")
    result = evaluate("--finetune-html=page.html", "--finetune-markdown=comment.md", "-qq")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["warning: run page: *page.html could not be written: Is a directory"])
    assert "1 of 1 gates passed" in pytester.path.joinpath("comment.md").read_text("utf-8")


def test_lf_forgets_a_report_that_could_not_be_written(candidate, evaluate, pytester):
    in_the_way(pytester, "page.html")
    evaluate("--finetune-html=page.html")
    assert not pytester.path.joinpath(".pytest_cache/v/cache/lastfailed").exists()


@pytest.mark.parametrize("option", [*REPORTS, "--junitxml"])
def test_a_folder_that_only_seems_writable_is_refused_before_the_first_request(candidate, evaluate, server, option):
    # To root, /proc is writable by its permissions.
    result = evaluate(f"{option}=/proc/report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option}: /proc/report cannot be written: /proc is not a writable folder"])
    assert not server.requests
