"""What the scorers that compare text share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.json_shape import type_name
from pytest_finetune.base.records import Score
from pytest_finetune.base.text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case, Completion

PASSED = Score(passed=True)


def unusable_text(case: Case, normalize: Callable[[str], str]) -> str | None:
    """Why the expected answers of a case cannot be compared as text; None when they can."""
    if not case.expected:
        return "no expected text" + (", only tool calls; use scorer 'tool_call'" if case.tool_calls else "")
    for expected in case.expected:
        if not isinstance(expected, str):
            return f"expected is a JSON {type_name(expected)} and not text; use scorer 'json'"
        if not normalize(expected).strip():
            return f"expected {expected!r} leaves nothing to compare with"
    return None


def difference(case: Case, completion: Completion) -> str:
    """One line that sets the answer against the first expected text."""
    return f"expected {shorten(case.expected[0])!r}, got {shorten(completion.text)!r}"
