"""Shared by the scorers that compare text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.json_shape import schema_type
from pytest_finetune.base.records import Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

PASSED = Score(passed=True)


@dataclass(frozen=True, slots=True)
class TextScorer(Scorer):
    """Base of the scorers that compare the answer with the expected texts after `normalize`."""

    normalize: Callable[[str], str]
    settings: ClassVar = frozenset({"normalize"})

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """Reads `normalize`."""
        return cls(make_normalizer(settings.normalize))

    def check(self, case: Case) -> str | None:
        """An expected text must exist and not be empty after normalizing: every answer would contain it."""
        return unusable_text(case, self.normalize)


def unusable_text(case: Case, normalize: Callable[[str], str]) -> str | None:
    """Why the expected answers of a case cannot be compared as text; None if they can."""
    if not case.expected:
        return "no expected text" + (", only tool calls; use scorer 'tool_call'" if case.tool_calls else "")
    for expected in case.expected:
        if not isinstance(expected, str):
            return f"expected is a JSON {schema_type(expected)} and not text; use scorer 'json'"
        if not normalize(expected).strip():
            return f"expected {expected!r} leaves nothing to compare with"
    return None


def difference(case: Case, completion: Completion) -> str:
    """One line with the first expected text and the answer."""
    return f"expected {shorten(case.expected[0])!r}, got {shorten(completion.text)!r}"
