"""The scorers that count words, of any language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.scoring.graded import GradedScorer
from pytest_finetune.verdicts.scoring.needs import need
from pytest_finetune.verdicts.scoring.normalizers import nfkc
from pytest_finetune.verdicts.scoring.texts import TextScorer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from regex import Pattern

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

# Scripts that are written without spaces: each character, with its marks, is a word of its own.
_SCRIPTS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
_UNSPACED = "".join(rf"\p{{Script={name}}}" for name in _SCRIPTS)
_NUMBER = r"(?:(?<![\p{L}\p{N}])-)?\p{Nd}+(?:[.,]\p{Nd}+)*|[%‰\p{Sc}]"
# C, C++ and C# are three languages.
_WORD = rf"(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}_])+(?:(?:\+\+|#)(?!\p{{L}}))?"
_PATTERN = rf"{_NUMBER}|[{_UNSPACED}]\p{{M}}*|{_WORD}"


@dataclass(frozen=True, slots=True)
class WordScorer(GradedScorer):
    """Base of the scorers that compare words."""

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `normalize` and `threshold`.

        Raises:
            ScorerError: regex is not installed.
        """
        need("regex", "text", f"scorer {cls.name!r}")
        return super(WordScorer, cls).make(settings, folder)

    def check(self, case: Case) -> str | None:
        """Every expected text must have a word."""
        return TextScorer.check(self, case) or self.usable(case, words)


def words(text: str) -> list[str]:
    """
    The words of a text, after NFKC and case folding.

    A number with its minus sign and decimals is one word (`-1,234.5`), and so are each percent sign, each symbol of a
    currency, and each character of Chinese, Japanese, Thai, Lao, Khmer and Burmese. Other punctuation and symbols
    separate words and are dropped; nothing else is: articles count.
    """
    found: list[str] = _pattern().findall(nfkc(text).casefold().replace("−", "-"))
    return found


@lru_cache(maxsize=1024)
def expected_words(text: str) -> tuple[str, ...]:
    """The words of an expected text, which is compared with many answers."""
    return tuple(words(text))


@cache
def _pattern() -> Pattern[str]:
    # `re` takes the vowel signs of Hindi, Tamil and others for punctuation.
    import regex

    return regex.compile(_PATTERN)
