"""`fuzzy`: the answer is nearly the expected text, by edit distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.scoring.graded import GradedScorer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from pytest_finetune.verdicts.evalset.settings import EvalSettings


@dataclass(frozen=True, slots=True)
class FuzzyScorer(GradedScorer):
    """Normalized similarity of rapidfuzz: 1 - (insertions + deletions) / (both lengths)."""

    name = "fuzzy"

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `normalize` and `threshold`.

        Raises:
            ScorerError: rapidfuzz is not installed.
        """
        try:
            import rapidfuzz.distance.Indel  # noqa: F401 - whether it is there
        except ImportError:
            hint = "pip install 'pytest-finetune[text]'"
            raise ScorerError("scorer 'fuzzy' needs rapidfuzz, which is not installed", hint=hint) from None
        return super(FuzzyScorer, cls).make(settings, folder)

    def similarity(self, expected: str, answer: str) -> float:
        """Insertions and deletions between the texts, as a share of both lengths, subtracted from 1."""
        from rapidfuzz.distance import Indel

        return Indel.normalized_similarity(expected, answer)
