"""Normalizers: what two texts may differ in and still count as equal. Each is total, and takes linear time."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PIECE = 1024
"""Characters that NFKC takes at once: it is quadratic over a run of combining characters, so a run is bounded."""


def make_normalizer(names: Iterable[str]) -> Callable[[str], str]:
    """The named normalizers as one function, applied in order; the text itself where none is named."""
    steps = tuple(NORMALIZERS[name] for name in names)
    if len(steps) == 1:
        return steps[0]

    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return normalize


def nfkc(text: str) -> str:
    """Unicode compatibility composition: full-width forms, ligatures and composed accents become one spelling."""
    if len(text) <= PIECE:
        return unicodedata.normalize("NFKC", text)
    return "".join(unicodedata.normalize("NFKC", piece) for piece in _pieces(text))


def collapse_whitespace(text: str) -> str:
    """Each run of white space becomes one blank, and none is left at the ends."""
    return " ".join(text.split())


def strip_punctuation(text: str) -> str:
    """
    Drop punctuation, backticks and white space from both ends: `**Bug.**` becomes `Bug`.

    A leading minus is punctuation too, so this does not suit numbers.
    """
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    return text[start:end]


NORMALIZERS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "casefold": str.casefold,
    "nfkc": nfkc,
    "collapse_whitespace": collapse_whitespace,
    "strip_punctuation": strip_punctuation,
}


def _is_edge(character: str) -> bool:
    return character == "`" or character.isspace() or unicodedata.category(character)[0] == "P"


def _pieces(text: str) -> Iterable[str]:
    """Cut before a character that never composes with the one before it, where a piece has one."""
    start = 0
    while start < len(text):
        end = min(start + PIECE, len(text))
        cut = end
        while end < len(text) and cut > start and not _starts_afresh(text[cut]):
            cut -= 1
        end = cut if cut > start else end
        yield text[start:end]
        start = end


def _starts_afresh(character: str) -> bool:
    # Marks join the character before them, and so do the conjoining letters of Hangul.
    return unicodedata.category(character)[0] != "M" and not "\u1100" <= character <= "\u11ff"
