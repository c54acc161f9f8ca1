"""`fuzzy`: the answer is nearly the expected text, by edit distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.scoring.graded import GradedScorer
from pytest_finetune.verdicts.scoring.needs import need

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
        need("rapidfuzz", "text", "scorer 'fuzzy'")
        return super(FuzzyScorer, cls).make(settings, folder)

    def similarity(self, expected: str, answer: str) -> float:
        """Insertions and deletions between the texts, as a share of both lengths, subtracted from 1."""
        from rapidfuzz.distance import Indel

        return Indel.normalized_similarity(expected, answer)
