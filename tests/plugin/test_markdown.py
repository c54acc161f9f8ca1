"""Markdown of a session: the file of --finetune-markdown, and the summary of a GitHub Actions step."""

from __future__ import annotations

import re

import pytest
from steady_text import steady

GATES = """
scorer = "label"
labels = ["bug", "feature", "other"]
[[gates]]
min = 0.5
[[gates]]
min = 0.6
confidence = 0.95
[[gates]]
metric = "accuracy"
against = "production"
max_drop = 0.02
"""


@pytest.fixture
def gated(suite):
    return suite(["bug", "feature", "other"] * 4, toml=GATES)


@pytest.fixture
def passing(suite):
    return suite(3, toml="[[gates]]\nmin = 0.5\n")


def test_a_whole_comment(gated, evaluate, server, pytester, golden):
    answers = {"old": lambda asked: asked, "new": lambda asked: "a|b `c`" if asked == "other" else asked}
    server.answer = lambda body: answers[body["model"]](body["messages"][-1]["content"])
    evaluate("--baseline=old", "--finetune-markdown=out/comment.md", model="new")
    text = pytester.path.joinpath("out/comment.md").read_text("utf-8")
    golden("markdown.md", steady(text))


def test_the_file_is_replaced_and_the_closing_section_names_it(passing, evaluate, pytester):
    path = pytester.path / "comment.md"
    path.write_text("what was there before")
    lines = evaluate("--finetune-markdown=comment.md").stdout.lines
    assert f"Markdown: {path}" in lines
    assert path.read_text("utf-8").startswith("### ✅ `ft:test` ships: 1 of 1 gates passed")
    assert [one.name for one in pytester.path.glob("comment*")] == ["comment.md"]


def test_the_step_summary_is_appended_to(passing, evaluate, pytester, monkeypatch):
    path = pytester.path / "summary"
    path.write_text("another step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    evaluate()
    text = path.read_text("utf-8")
    assert text.startswith("another step\n\n### ✅ ")
    assert text.count("###") == 1


def test_under_xdist_the_controller_alone_writes(passing, evaluate, pytester, monkeypatch):
    path = pytester.path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    evaluate("-n2", subprocess=True)
    assert path.read_text("utf-8").count("###") == 1


def test_without_a_model_nothing_is_written(pytester, monkeypatch):
    path = pytester.path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    pytester.makepyfile("def test_own(): pass")
    pytester.runpytest_inprocess("--finetune-markdown=comment.md")
    assert not path.exists()
    assert not pytester.path.joinpath("comment.md").exists()


def test_a_verdict_decided_early_is_marked_as_no_evidence(suite, evaluate, pytester):
    suite(40, inputs=["wrong"] * 40, toml="[[gates]]\nmin = 0.9\n")
    evaluate("--stop-when-decided", "--concurrency=1", "--finetune-markdown=comment.md", "--finetune-html=page.html")
    for name in ("comment.md", "page.html"):
        assert "1 failed; decided early, so it is no evidence" in pytester.path.joinpath(name).read_text("utf-8")


@pytest.mark.parametrize("option", ["--finetune-markdown", "--finetune-html"])
def test_a_session_without_an_eval_set_warns_that_it_wrote_nothing(suite, evaluate, pytester, option):
    suite(2)
    pytester.makepyfile(
        test_own="import pytest\n@pytest.mark.eval_set('tickets.jsonl')\ndef test_own(eval_completion, eval_case): 0\n"
    )
    result = evaluate(f"{option}=report", "test_own.py")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"warning: {option} wrote nothing: no eval set was evaluated*"])
    assert not pytester.path.joinpath("report").exists()


def test_a_summary_that_cannot_be_written_is_a_warning_and_no_failure(passing, evaluate, pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "no" / "such" / "folder"))
    result = evaluate("-W", "error")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["warning: Markdown: GITHUB_STEP_SUMMARY could not be written: No such file*"])


@pytest.mark.parametrize(
    ("path", "expected"), [("eval_sets", "is a folder"), ("setup.cfg/comment.md", "cannot be written")]
)
def test_a_file_that_cannot_be_written_is_refused_before_the_first_request(
    passing, evaluate, server, pytester, path, expected
):
    pytester.path.joinpath("setup.cfg").write_text("")
    result = evaluate(f"--finetune-markdown={path}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert expected in result.stderr.str()
    assert server.requests == []


def test_redacted_markdown_contains_no_prompts_and_no_answers(suite, evaluate, server, pytester):
    suite(2, inputs=["prompt-marker"] * 2, toml="[[gates]]\nmin = 0.5\n")
    server.answer = lambda body: "answer-marker"
    evaluate("--finetune-redact", "--finetune-markdown=comment.md")
    text = pytester.path.joinpath("comment.md").read_text("utf-8")
    assert not re.search("marker|word-[01]", text)
    assert "sha256:" in text
