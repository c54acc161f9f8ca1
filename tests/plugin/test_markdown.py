"""Markdown of a session: the file that was asked for, and the summary of a GitHub Actions step."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden" / "markdown.md"
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


def test_a_whole_comment(gated, evaluate, server, pytester):
    answers = {"old": lambda asked: asked, "new": lambda asked: "a|b `c`" if asked == "other" else asked}
    server.answer = lambda body: answers[body["model"]](body["messages"][-1]["content"])
    evaluate("--baseline=old", "--finetune-markdown=out/comment.md", model="new")
    text = pytester.path.joinpath("out/comment.md").read_text("utf-8")
    text = re.sub(r"Run `[^`]+`", "Run `ID`", re.sub(r"p50/p95 \S+ s", "p50/p95 1.00/2.00 s", text))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_the_file_is_replaced_and_the_closing_section_names_it(passing, evaluate, pytester):
    path = pytester.path / "comment.md"
    path.write_text("what was there before")
    lines = evaluate("--finetune-markdown=comment.md").stdout.lines
    assert f"Markdown: {path}" in lines
    assert path.read_text("utf-8").startswith("### ✅ `ft:test` ships: 1 of 1 gates pass")
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


def test_a_summary_that_cannot_be_written_is_a_warning_and_no_failure(passing, evaluate, pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "no" / "such" / "folder"))
    result = evaluate("-W", "error")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["warning: Markdown: GITHUB_STEP_SUMMARY could not be written: No such file*"])


@pytest.mark.parametrize(
    ("path", "told"), [("eval_sets", "is a folder"), ("setup.cfg/comment.md", "cannot be written")]
)
def test_a_file_that_cannot_be_is_told_before_anything_is_asked(passing, evaluate, server, pytester, path, told):
    pytester.path.joinpath("setup.cfg").write_text("")
    result = evaluate(f"--finetune-markdown={path}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert told in result.stderr.str()
    assert server.requests == []


def test_redacted_it_holds_neither_prompts_nor_answers(suite, evaluate, server, pytester):
    suite(2, inputs=["prompt-marker"] * 2, toml="[[gates]]\nmin = 0.5\n")
    server.answer = lambda body: "answer-marker"
    evaluate("--finetune-redact", "--finetune-markdown=comment.md")
    text = pytester.path.joinpath("comment.md").read_text("utf-8")
    assert not re.search("marker|word-[01]", text)
    assert "sha256:" in text
