"""The terminal output in docs/reports.md is the real one."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from pytest_finetune.evaluation.tally import RECENT, Progress
from pytest_finetune.reports import markdown
from pytest_finetune.reports.progress import progress_line
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.outcome import Outcome

TEXT = (Path(__file__).parents[1] / "docs" / "reports.md").read_text("utf-8")
PASS, FAIL, OPEN = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


def test_documented_outcomes_are_printed():
    outcomes = [Outcome(gates) for gates in ((PASS,) * 5, (PASS,) * 3 + (FAIL,) * 2, (PASS,) * 4 + (OPEN,))]
    lines = [f"ft:new {outcome.words}: {outcome.reasons}" for outcome in outcomes]
    assert re.findall(r"^- `(ft:new [^`]+)`", TEXT, re.MULTILINE) == lines


def test_the_documented_live_line_is_drawn():
    progress = Progress(1_000, 412, 32, 0, (0.912,), Decimal("0.41"), 38)
    assert f"    {progress_line(progress, 80)}\n" in TEXT
    assert f"pace of the last {RECENT}" in TEXT


def test_the_bounds_of_markdown_are_the_code_s():
    assert f"at most {markdown.LIMIT:,} characters" in TEXT
    assert (markdown.FLIPS, markdown.MISSES) == (10, 5)
    assert "ten flips" in TEXT
    assert "five cases" in TEXT
