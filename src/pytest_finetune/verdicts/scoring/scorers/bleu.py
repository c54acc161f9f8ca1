"""`bleu`: how many sequences of words the answer and the expected text share; for translations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

from pytest_finetune.verdicts.scoring.graded import GradedOptions, GradedScorer
from pytest_finetune.verdicts.scoring.needs import need
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.texts import TextScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

ORDER = 4
"""Longest sequences, in words."""


class BleuOptions(GradedOptions):
    """What the scorer reads from `[scorer]`."""

    tokenize: Literal["13a", "intl", "zh", "char"] = "13a"


@dataclass(frozen=True, slots=True)
class BleuScorer(GradedScorer):
    """
    BLEU of one sentence by sacrebleu, in [0, 1], smoothed as its `sentence_bleu`.

    The mean over cases is not the BLEU of a corpus.

    Args:
        split: A text into words with a space between any two, by one of sacrebleu's tokenizers.

    Source: Post (2018).
    """

    split: Callable[[str], str]
    name = "bleu"
    options: ClassVar = BleuOptions

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """
        Reads `normalize`, `threshold` and `tokenize`.

        Raises:
            ScorerError: sacrebleu is not installed.
        """
        options = BleuOptions.model_validate(settings.scorer_options)
        need("sacrebleu", "text", "scorer 'bleu'")
        from sacrebleu.metrics.bleu import BLEU

        split: Callable[[str], str] = BLEU(tokenize=options.tokenize).tokenizer
        return cls(make_normalizer(settings.normalize), options.threshold, split)

    def check(self, case: Case) -> str | None:
        """Every expected text must have a word."""
        return TextScorer.check(self, case) or self.usable(case, lambda text: self.split(text).split())

    def similarity(self, expected: str, answer: str) -> float:
        """Precision of sequences of 1 to 4 words, and a penalty for an answer that is too short."""
        from sacrebleu.metrics.bleu import BLEU

        wanted, length = _counted(self.split, expected)
        got = self.split(answer).split()
        left, shared, totals = dict(wanted), [0] * ORDER, [0] * ORDER
        for size in range(1, ORDER + 1):
            for words in _sequences(got, size):
                totals[size - 1] += 1
                if left.get(words):
                    left[words] -= 1
                    shared[size - 1] += 1
        found = BLEU.compute_bleu(shared, totals, len(got), length, smooth_method="exp", effective_order=True)
        return float(found.score) / 100


def _sequences(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + size]) for at in range(len(words) - size + 1))


@lru_cache(maxsize=1024)
def _counted(split: Callable[[str], str], text: str) -> tuple[dict[tuple[str, ...], int], int]:
    """How often each sequence of up to `ORDER` words occurs in a text; its number of words."""
    words = split(text).split()
    return dict(Counter(each for size in range(1, ORDER + 1) for each in _sequences(words, size))), len(words)
