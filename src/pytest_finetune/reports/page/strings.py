"""The texts of the page: escaped for display, cut to a maximum length, and each stored once."""

from __future__ import annotations

import re

from pytest_finetune.base.text import printable
from pytest_finetune.reports.redaction import hidden
from pytest_finetune.reports.text import shortened

LIMIT = 20_000
"""Maximum characters of one text on the page; the run record has the full text."""

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")


def visible(text: str) -> str:
    """The text without ANSI sequences, and with other control, bidi and zero-width characters escaped."""
    if text.isprintable():
        return text
    return printable(_ANSI.sub("", text).replace("\r\n", "\n"))


class Strings:
    """
    Table of texts that the cases refer to by index; 0 is the empty text.

    Args:
        redact: Store fingerprints instead of prompts, expected answers and answers.
    """

    def __init__(self, *, redact: bool = False) -> None:
        self.redact = redact
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        """Index of a text that is always shown, such as a name or a state."""
        shown = visible(shortened(text, LIMIT))
        return self._numbers.setdefault(shown, len(self._numbers))

    def private(self, text: str) -> int:
        """Index of a prompt, an expected answer or an answer."""
        return self.number(hidden(text) if self.redact and text else text)

    @property
    def table(self) -> list[str]:
        """All texts by index."""
        return list(self._numbers)
