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
_RAISED = re.compile("([\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u208e\u2150-\u215f\u2189]+)")
_CLOSING = dict(zip("\"'`*_([{<“‘«‹「『《（【", "\"'`*_)]}>”’»›」』》）】", strict=True))
"""Marks that are dropped in pairs only."""


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

    Raised and lowered digits and fractions stay: in `10⁵` and `1½` they are not the digits that NFKC makes of them.
    """
    return "".join(
        part if raised else "".join(unicodedata.normalize("NFKC", piece) for piece in _pieces(part))
        for raised, part in ((number % 2, part) for number, part in enumerate(_RAISED.split(text)))
    )


def collapse_whitespace(text: str) -> str:
    """Each run of white space becomes one space; at the ends it is removed."""
    return " ".join(text.split())


def strip_punctuation(text: str) -> str:
    """
    Drop quotes, Markdown marks and brackets around a text, and stops after it: `**Bug.**` becomes `Bug`.

    What may change a word or a number stays: signs (`-5`), currency, `%`, `#` (`C#`), a leading dot (`.NET`), a mark on
    one side alone (`A*`), a factorial (`5!`). A text of nothing but punctuation stays whole.
    """
    whole = text = text.strip()
    while text:
        shorter = _without_stops(text)
        if shorter and _CLOSING.get(shorter[0]) == shorter[-1]:
            shorter = shorter[1:-1].strip()
        if shorter == text:
            return text
        text = shorter
    return whole


def _without_stops(text: str) -> str:
    shorter = text.rstrip(_STOPS)
    if shorter[-1:].isdigit():
        rest = text[len(shorter) :]
        shorter += rest[: len(rest) - len(rest.lstrip("!"))]
    return shorter.rstrip()


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
