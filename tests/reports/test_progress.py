"""The text of the live line: the least important parts are dropped first."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pytest_finetune.evaluation.tally import Progress
from pytest_finetune.reports.progress import progress_line

WHOLE = Progress(10_000, 1_234, 32, 1, (0.912, None), Decimal("1.25"), 3_725)


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "1,234/10,000 done  32 in flight  1 error  accuracy 0.912, -  $1.25  1:02:05 left"),
        (60, "1,234/10,000 done  1 error  accuracy 0.912, -  1:02:05 left"),
        (40, "1,234/10,000 done  1 error  1:02:05 left"),
        (20, "1,234/10,000 done"),
        (10, ""),
    ],
)
def test_the_line_has_as_much_as_fits(width, line):
    assert progress_line(WHOLE, width) == line


def test_unknown_figures_are_not_shown():
    assert progress_line(Progress(5, 0, 5, 0, (None,), Decimal(0), None), 79) == "0/5 done  5 in flight"
    assert progress_line(Progress(0, 3, None, 0, (1.0,), None, None), 79) == "3 done  0 errors  accuracy 1.000"
