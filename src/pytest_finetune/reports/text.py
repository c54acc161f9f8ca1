"""Text from outside, made safe and short for a terminal."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

_KEPT = "\n\t"


def printable(text: str) -> str:
    """The text with every control, format and surrogate code but line ends and tabs written out as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c in _KEPT or unicodedata.category(c) not in {"Cc", "Cf", "Cs"} else _escape(c) for c in text)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, with a word on how many were left out."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def dollars(amount: Decimal | None) -> str:
    """An amount of money as people write it; an unknown one is said to be unknown."""
    if amount is None:
        return "unknown"
    if 0 < amount < Decimal("0.01"):
        return f"${amount.normalize():.2g}" if amount < Decimal("0.0001") else f"${amount:.4f}"
    return f"${amount:,.2f}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
