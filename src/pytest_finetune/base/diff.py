"""Differences between an answer and the expected one, as a few lines of plain text; bounded in length and time."""

from __future__ import annotations

import re
from difflib import SequenceMatcher, unified_diff
from itertools import islice
from typing import Any

from pytest_finetune.base.json_compare import ABSENT, Difference, Judge, differences
from pytest_finetune.base.text import escaped, shorten, shown

MOST_LINES = 20
MOST_WORDS = 160
"""Maximum number of words for a comparison by word; longer texts are compared by line."""

ALIKE = 0.3
"""Similarity below which two short texts are shown without marks, because nearly everything would be marked."""

_WORD = re.compile(r"[A-Za-z0-9_]+|\s+|.", re.DOTALL)
WIDTH = 110
"""Maximum characters per line."""

_LONG = 440
_KEPT = 6


def text_diff(expected: str, got: str) -> list[str]:
    """The differences of two texts: by word if both are short and of one line, else by line."""
    one_line = "\n" not in expected.strip() and "\n" not in got.strip()
    if one_line and max(len(_WORD.findall(text)) for text in (expected[:2000], got[:2000])) <= MOST_WORDS:
        return _word_diff(expected[:2000], got[:2000])
    return _line_diff(expected, got)


def json_diff(expected: Any, got: Any, judge: Judge | None = None) -> list[str]:
    """
    The differences of two JSON values, one line per path: `-` missing, `+` extra, `~` changed.

    `judge` is that of `differences`.
    """
    try:
        found = list(islice(differences(expected, got, judge=judge), MOST_LINES + 1))
    except RecursionError:
        return ["nested too deeply to compare"]
    return _bounded([_path_line(difference) for difference in found])


def _path_line(difference: Difference) -> str:
    path = shorten(difference.path)
    if difference.got is ABSENT:
        return f"- {path}: {shown(difference.expected)} is missing"
    if difference.expected is ABSENT:
        return f"+ {path}: {shown(difference.got)} is extra"
    return f"~ {path}: expected {shown(difference.expected)}, got {shown(difference.got)}"


def word_changes(expected: str, got: str) -> list[tuple[str, str]] | None:
    """
    Two texts as pairs of equal or different pieces: `("the ", "the "), ("brown", "red")`.

    None if marks would not help: one text has more than `MOST_WORDS`, or the two are hardly alike.
    """
    ours, theirs = _WORD.findall(expected), _WORD.findall(got)
    if max(len(ours), len(theirs)) > MOST_WORDS:
        return None
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.ratio() < ALIKE:
        return None
    return [("".join(ours[a:b]), "".join(theirs[c:d])) for _, a, b, c, d in matcher.get_opcodes()]


def _word_diff(expected: str, got: str) -> list[str]:
    changes = word_changes(expected, got)
    if changes is None:
        return [f"expected: {shorten(expected, _LONG)}", f"     got: {shorten(got, _LONG)}"]
    left, right = [], []
    for ours, theirs in changes:
        if ours == theirs:
            same = _common(_WORD.findall(ours))
            left.append(same)
            right.append(same)
        else:
            left.append(f"[-{escaped(ours)}-]" if ours else "")
            right.append(f"{{+{escaped(theirs)}+}}" if theirs else "")
    return [f"expected: {shorten(''.join(left), _LONG)}", f"     got: {shorten(''.join(right), _LONG)}"]


def _common(words: list[str]) -> str:
    """Words that both sides share, with the middle of a long sequence replaced by an ellipsis."""
    if len(words) <= 2 * _KEPT + 1:
        return _joined(words)
    return f"{_joined(words[:_KEPT])}…{_joined(words[-_KEPT:])}"


def _joined(words: list[str]) -> str:
    return escaped("".join(words))


def _line_diff(expected: str, got: str) -> list[str]:
    ours, theirs = (_lines(text) for text in (expected, got))
    start = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    first = max(0, start - 1)
    ours, theirs = (side[first : first + 2 * MOST_LINES] for side in (ours, theirs))
    changes = [*islice(unified_diff(ours, theirs, lineterm="", n=1), 3, None)]
    lines = [f"line {first + 1}:"] if first else []
    return _bounded([*lines, *(shorten(line, WIDTH) for line in changes if not line.startswith("@@"))])


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _bounded(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 1], "… and more"]
