"""Texts of a page: safe to look at, cut where they are endless, and each kept once however often it occurs."""

from __future__ import annotations

import re

from pytest_finetune.base.text import printable
from pytest_finetune.reports.redaction import hidden
from pytest_finetune.reports.text import shortened

LIMIT = 20_000
"""Characters of one text that the page holds; the record holds the rest."""

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")


def visible(text: str) -> str:
    """The text without ANSI sequences, and with every other control, bidi or zero-width code written out."""
    if text.isprintable():
        return text
    return printable(_ANSI.sub("", text).replace("\r\n", "\n"))


class Strings:
    """
    A table of texts that the cases refer to by number; 0 is the empty text.

    Args:
        redact: Take in fingerprints in place of what was asked, expected and answered.
    """

    def __init__(self, *, redact: bool = False) -> None:
        self.redact = redact
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        """Where a text of ours, a name or a word, stands in the table."""
        shown = visible(shortened(text, LIMIT))
        return self._numbers.setdefault(shown, len(self._numbers))

    def private(self, text: str) -> int:
        """Where a text that was asked, expected or answered stands in the table."""
        return self.number(hidden(text) if self.redact and text else text)

    @property
    def table(self) -> list[str]:
        """All texts, in the order of their numbers."""
        return list(self._numbers)
