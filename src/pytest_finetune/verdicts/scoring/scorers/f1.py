"""`f1`: how many words the answer and the expected text share, whatever their order, as SQuAD counts them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pytest_finetune.verdicts.scoring.tokens import WordScorer, expected_words, words


@dataclass(frozen=True, slots=True)
class F1Scorer(WordScorer):
    """
    F1 over words: the harmonic mean of precision and recall of the words, repeated ones counted as often as they are.

    Source: Rajpurkar et al. (2016), SQuAD, with the words of `scoring/tokens.py` in place of English ones.
    """

    name = "f1"

    def similarity(self, expected: str, answer: str) -> float:
        """F1 of the answer's words."""
        wanted, got = expected_words(expected), words(answer)
        common = (Counter(wanted) & Counter(got)).total()
        return 2 * common / (len(wanted) + len(got))
