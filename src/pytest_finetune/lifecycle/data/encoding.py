"""Text that was broken on its way: read in the wrong encoding, or with characters lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 24


class Encoding:
    """
    Finds broken text.

    Raises:
        DataError: ftfy is not installed.
    """

    def __init__(self) -> None:
        self._badness = needed("ftfy.badness").is_bad
        self._mend = needed("ftfy").fix_encoding

    def find(self, text: str) -> Iterator[tuple[str, str]]:
        """Code and what is wrong."""
        if text.isascii():
            return
        if (at := text.find("\ufffd")) >= 0:
            yield "replacement_character", f"a character was lost after {text[max(at - _SHOWN, 0) : at]!r}"
        # A heuristic finds what looks bad; only text that decoding once more makes good is told.
        if self._badness(text) and (mended := self._mend(text)) != text:
            at = next((at for at, (old, new) in enumerate(zip(text, mended, strict=False)) if old != new), 0)
            start = max(at - _SHOWN // 2, 0)
            was, should = text[start : at + _SHOWN // 2], mended[start : at + _SHOWN // 2]
            yield "mojibake", f"{was!r} was read in the wrong encoding; it should be {should!r}"
