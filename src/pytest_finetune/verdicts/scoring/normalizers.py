"""Normalizers remove the differences that texts may have and still be equal. Any text is accepted, in linear time."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PIECE = 1024
"""Characters that NFKC normalizes at once: it takes quadratic time for a run of combining characters."""


_STOPS = ".,;:!?…。，；：！？、"
# Characters that Unicode defines as another one raised, lowered or part of a fraction.
_RAISED = (
    "\u00aa\u00b2\u00b3\u00b9\u00ba\u00bc-\u00be\u02b0-\u02b8\u02e0-\u02e4\u10fc\u1d2c-\u1d2e\u1d30-\u1d3a\u1d3c-\u1d4d\u1d4f-\u1d6a"
    "\u1d78\u1d9b-\u1dbf\u2070-\u208e\u2090-\u209c\u2120\u2122\u2150-\u215f\u2189\u2c7c\u2c7d\u2d6f\u3192-\u319f\ua69c\ua69d\ua770"
    "\ua7f2-\ua7f4\ua7f8\ua7f9\uab5c-\uab5f\uab69\U00010781-\U00010785\U00010787-\U000107b0\U000107b2-\U000107ba\U0001f16a-\U0001f16c"
)
# Single characters that NFKC turns into text with digits, such as a circled 1 or a month in Japanese.
_ENCLOSED = (
    "\u2460-\u249b\u24ea\u3251-\u325f\u32b1-\u32cb\u3358-\u3370\u3378\u3379"
    "\u339f-\u33a6\u33a8\u33af\u33e0-\u33fe\U0001f100-\U0001f10a"
)
_NUMBERS = rf"[\d{_RAISED}{_ENCLOSED}]"
_KEPT = re.compile(f"([{_RAISED}]+|(?<={_NUMBERS})[{_ENCLOSED}]+|[{_ENCLOSED}]+(?={_NUMBERS}))")

_CLOSING = dict(zip("\"'`*_([“‘«‹「『《（【", "\"'`*_)]”’»›」』》）】", strict=True))
"""Marks that are dropped in pairs only."""

_BRACKETS = "([（【"
_DUNDER = re.compile("__[a-z0-9_]*[a-z0-9]__")
_MEANT = re.compile(r"!+|\.{2,}|…+")
_FACTORIAL = re.compile(r"(?:[)\]]|(?<![\w'’])[^\W\d_])\Z")


def make_normalizer(names: Iterable[str]) -> Callable[[str], str]:
    """One function that applies the named normalizers in order; without any, it returns the text unchanged."""
    steps = tuple(NORMALIZERS[name] for name in names)
    if len(steps) == 1:
        return steps[0]

    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return normalize


def nfkc(text: str) -> str:
    """
    Unicode compatibility composition: full-width forms, ligatures and composed accents become one spelling.

    Raised and lowered characters and fractions stay: in `10⁵` and `1½` they are not the digits that NFKC makes of them.
    So do enclosed digits next to others: `1①` is not 11.
    """
    return "".join(
        part if kept else "".join(unicodedata.normalize("NFKC", piece) for piece in _pieces(part))
        for kept, part in ((number % 2, part) for number, part in enumerate(_KEPT.split(text)))
    )


def collapse_whitespace(text: str) -> str:
    """Each run of white space becomes one space; at the ends it is removed."""
    return " ".join(text.split())


def strip_punctuation(text: str) -> str:
    """
    Drop quotes, Markdown marks and brackets around a text, and stops after it: `**Bug.**` becomes `Bug`.

    What may change a word or a number stays: signs (`-5`), currency, `%`, `#` (`C#`), a leading dot (`.NET`), a mark on
    one side alone (`A*`), a factorial (`5!`, `n!`), repeating decimals (`0.3...`), brackets around a number or a list
    (`(5)` is minus five to an accountant, `(a, b)` and `[a, b]` are two intervals), `{…}`, `<…>` and `__init__`.
    A text of nothing but punctuation stays whole.
    """
    whole = text.strip()
    start, end = 0, len(whole)
    is_amount: bool | None = None
    while start < end:
        before = start, end
        end = _without_stops(whole, start, end)
        if start < end and whole[start] in _BRACKETS and is_amount is None:
            # What is inside holds for all brackets further in, too.
            is_amount = any(c in ",，、;" or unicodedata.category(c)[0] == "N" for c in whole[start:end])
        if _is_wrapped(whole, start, end) and not (whole[start] in _BRACKETS and is_amount):
            start, end = _trimmed(whole, start + 1, end - 1)
        if (start, end) == before:
            return whole[start:end]
    return whole


def _is_wrapped(text: str, start: int, end: int) -> bool:
    if start >= end or _CLOSING.get(text[start]) != text[end - 1]:
        return False
    return text[start] != "_" or text[end - 3 : end - 2] in ("", "_") or not _DUNDER.fullmatch(text, start, end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _without_stops(text: str, start: int, end: int) -> int:
    """The end of the range without stops that mean nothing, and the white space before them."""
    last = end
    while last > start and text[last - 1] in _STOPS:
        last -= 1
    if (meant := _MEANT.match(text, last, end)) and last > start:
        is_number = unicodedata.category(text[last - 1])[0] == "N"
        if is_number or (meant[0][0] == "!" and _FACTORIAL.search(text[max(start, last - 2) : last])):
            return meant.end()
    return _trimmed(text, start, last)[1]


NORMALIZERS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "casefold": str.casefold,
    "nfkc": nfkc,
    "collapse_whitespace": collapse_whitespace,
    "strip_punctuation": strip_punctuation,
}


def _pieces(text: str) -> Iterable[str]:
    """Cut before a character that never composes with the one before it, if the piece has such a character."""
    start = 0
    while start < len(text):
        end = min(start + PIECE, len(text))
        cuts = (at for at in range(end, start, -1) if at == len(text) or _never_composes(text[at]))
        cut = next(cuts, end)
        yield text[start:cut]
        start = cut


def _never_composes(character: str) -> bool:
    # Marks join the character before them, and so do the conjoining letters of Hangul.
    return unicodedata.category(character)[0] != "M" and not "\u1100" <= character <= "\u11ff"
