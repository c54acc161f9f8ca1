"""Finds text that was decoded with the wrong encoding, or lost characters."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOST_IN_GBK = re.compile("锟斤拷|锟斤|烫烫烫|屯屯屯")
"""What two lost characters of UTF-8 become in GBK, and uninitialised memory of Windows programs."""

_CHINESE_RUN = re.compile("[\u2e80-\ud7ff\uf900-\uffef]{3,}")
_IDEOGRAPHS = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]{2,}")

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
        if lost := _LOST_IN_GBK.search(text):
            yield "replacement_character", f"{lost[0]!r} is what lost characters become in GBK"
        for run in _CHINESE_RUN.finditer(text):
            if repaired := _read_as_utf8(run[0]):
                yield "mojibake", _wrong(run[0][:_SHOWN], repaired[:_SHOWN])
                break
        # The heuristic alone has false positives: only text that decoding again repairs is reported.
        if self._badness(text) and (fixed := self._fix(text)) != text:
            at = next((at for at, (old, new) in enumerate(zip(text, fixed, strict=False)) if old != new), 0)
            start = max(at - _SHOWN // 2, 0)
            was, should = text[start : at + _SHOWN // 2], fixed[start : at + _SHOWN // 2]
            yield "mojibake", _wrong(was, should)


def _wrong(was: str, should: str) -> str:
    return f"{was!r} was decoded with the wrong encoding; it should be {should!r}"


def _read_as_utf8(run: str) -> str:
    """
    What a run of characters was before UTF-8 was decoded as GBK; empty if it was not.

    Common Chinese characters begin with other bytes in GBK than in UTF-8, so real Chinese is not decoded to ideographs.
    """
    try:
        # The decoder keeps the last bytes of a character that decoding as GBK has cut.
        text = codecs.getincrementaldecoder("utf-8")().decode(run.encode("gb18030"))
    except UnicodeError:
        return ""
    return text if _IDEOGRAPHS.fullmatch(text) else ""
