"""`regex`: the whole answer matches an expected pattern. A pattern that takes too long is a miss."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import BoundedSemaphore
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.scoring.answers import missed_text, missing_answer
from pytest_finetune.verdicts.scoring.needs import need
from pytest_finetune.verdicts.scoring.texts import PASSED, TextScorer, unusable_text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from regex import Pattern

    from pytest_finetune.base.records import Case, Completion, Score
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

SECONDS = 1.0
"""Time limit for all patterns of a case together."""

# The limit is wall-clock time, so searches must not share a core.
_CORES = BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class RegexScorer(TextScorer):
    """Patterns of the `regex` package, matched against the answer after `normalize`; the patterns stay as written."""

    name = "regex"
    blocking: ClassVar = True

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `normalize`.

        Raises:
            ScorerError: regex is not installed.
        """
        need("regex", "text", "scorer 'regex'")
        return super(RegexScorer, cls).make(settings, folder)

    def check(self, case: Case) -> str | None:
        """Every expected answer must be a pattern."""
        if problem := unusable_text(case, str):
            return problem
        for expected in case.expected:
            try:
                compiled(expected)
            except Exception as error:  # noqa: BLE001 - `regex` raises many kinds on a bad pattern
                return f"expected {shorten(expected)!r} is not a pattern: {error}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if any pattern matches the whole answer."""
        if fault := missing_answer(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        detail = f"expected a match of {shorten(case.expected[0])!r}, got {shorten(completion.text)!r}"
        with _CORES:
            ends = perf_counter() + SECONDS
            for expected in case.expected:
                try:
                    # `concurrent` lets other threads run during the search.
                    left = max(ends - perf_counter(), 0.001)
                    if compiled(expected).fullmatch(answer, timeout=left, concurrent=True):
                        return PASSED
                except (TimeoutError, MemoryError):
                    detail = f"the pattern {shorten(expected)!r} took longer than {SECONDS:g} s on this answer"
                    return replace(missed_text(completion, detail), undecided=True)
        return missed_text(completion, detail)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Pattern[str]:
    """
    The pattern, ready to match with.

    Raises:
        regex.error: It is not a pattern.
    """
    import regex

    with warnings.catch_warnings():
        # `regex` warns that nested sets will have another meaning in a later version.
        warnings.simplefilter("ignore", FutureWarning)
        return regex.compile(pattern, regex.VERSION0)
