"""Words of a text in any language, for the scorers that count them."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from pytest_finetune.verdicts.scoring.normalizers import nfkc

# Scripts that are written without spaces: each character, with its marks, is a word of its own.
_SCRIPTS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
_UNSPACED = "".join(rf"\p{{Script={name}}}" for name in _SCRIPTS)
_PATTERN = rf"\p{{Nd}}+(?:[.,]\p{{Nd}}+)*|[{_UNSPACED}]\p{{M}}*|(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}_])+"


def words(text: str) -> list[str]:
    """
    The words of a text, after NFKC and case folding.

    A number with its decimals is one word (`1,234.5`), and so is each character of Chinese, Japanese, Thai, Lao, Khmer
    and Burmese. Punctuation and symbols separate words and are dropped; nothing else is: articles count.
    """
    found: list[str] = _pattern().findall(nfkc(text).casefold())
    return found


@lru_cache(maxsize=1024)
def expected_words(text: str) -> tuple[str, ...]:
    """The words of an expected text, which is compared with many answers."""
    return tuple(words(text))


@cache
def _pattern() -> Any:
    # `re` takes the vowel signs of Hindi, Tamil and others for punctuation.
    import regex

    return regex.compile(_PATTERN)
