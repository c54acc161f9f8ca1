"""`rouge_l`: how long a sequence of words the answer and the expected text share, other words between them or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.scoring.tokens import WordScorer, expected_words, words

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class RougeLScorer(WordScorer):
    """
    ROUGE-L: F1 of the longest common subsequence of words; summaries are not split into sentences.

    Source: Lin (2004), with the words of `scoring/tokens.py` and without stemming.
    """

    name = "rouge_l"

    def similarity(self, expected: str, answer: str) -> float:
        """F1 of the longest common subsequence."""
        wanted, got = expected_words(expected), words(answer)
        return 2 * longest_common(wanted, got) / (len(wanted) + len(got))


def longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """
    Length of the longest common subsequence, one bit per item of `left`, so that long texts stay fast.

    Source: Hyyrö (2004), Bit-parallel LCS-length computation revisited.
    """
    places: dict[str, int] = {}
    for index, item in enumerate(left):
        places[item] = places.get(item, 0) | 1 << index
    every = (1 << len(left)) - 1
    row = every
    for item in right:
        matched = row & places.get(item, 0)
        row = (row + matched | row - matched) & every
    return len(left) - row.bit_count()
