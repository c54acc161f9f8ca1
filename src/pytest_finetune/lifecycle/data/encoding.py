"""Finds text that was decoded with the wrong encoding, or lost characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

# Characters of context in a finding.
_SHOWN = 24


class Encoding:
    """
    Finds broken text.

    Raises:
        DataError: ftfy is not installed.
    """

    def __init__(self) -> None:
        self._badness = needed("ftfy.badness").is_bad
        self._fix = needed("ftfy").fix_encoding

    def find(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield the code and the problem."""
        if text.isascii():
            return
        if (at := text.find("\ufffd")) >= 0:
            yield "replacement_character", f"a character was lost after {text[max(at - _SHOWN, 0) : at]!r}"
        # The heuristic alone has false positives: only text that decoding again repairs is reported.
        if self._badness(text) and (fixed := self._fix(text)) != text:
            at = next((at for at, (old, new) in enumerate(zip(text, fixed, strict=False)) if old != new), 0)
            start = max(at - _SHOWN // 2, 0)
            was, should = text[start : at + _SHOWN // 2], fixed[start : at + _SHOWN // 2]
            yield "mojibake", f"{was!r} was decoded with the wrong encoding; it should be {should!r}"
