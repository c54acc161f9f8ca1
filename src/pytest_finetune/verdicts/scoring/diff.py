"""What an answer got wrong, in a few lines for a terminal without colour; bounded in length and time for any answer."""

from __future__ import annotations

import re
from difflib import SequenceMatcher, unified_diff
from itertools import islice
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import escaped, shorten, shown

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.scoring.json_compare import Difference

MOST_LINES = 20
MOST_WORDS = 160
"""Words of a text that are set against each other; longer texts differ by line."""

ALIKE = 0.3
"""Similarity below which two short texts are shown whole: marks on everything tell nothing."""

_WORD = re.compile(r"[A-Za-z0-9_]+|\s+|.", re.DOTALL)
_WIDTH = 110
_LONG = 440
_KEPT = 6


def explain(case: Case, completion: Completion, scorer: Scorer) -> list[str]:
    """The difference between an answer and what was expected of it, in the way that suits the scorer."""
    if scorer.name == "tool_call" and case.tool_calls:
        return json_diff(*(_calls(calls) for calls in (case.tool_calls, completion.tool_calls)))
    if not case.expected:
        return [f"got {shorten(completion.text or '(nothing)', _WIDTH)}"]
    if scorer.name == "json" and (pair := _both_values(case.expected[0], completion.text)):
        return json_diff(*pair)
    expected = case.expected[0]
    return text_diff(expected if isinstance(expected, str) else shown(expected, 10_000), completion.text)


def text_diff(expected: str, got: str) -> list[str]:
    """Two texts against each other: word by word where both are one line and short, else line by line."""
    one_line = "\n" not in expected.strip() and "\n" not in got.strip()
    if one_line and max(len(_WORD.findall(text)) for text in (expected[:2000], got[:2000])) <= MOST_WORDS:
        return _word_diff(expected[:2000], got[:2000])
    return _line_diff(expected, got)


def json_diff(expected: Any, got: Any) -> list[str]:
    """One line for each path at which two JSON values differ: `-` missing, `+` extra, `~` changed."""
    from pytest_finetune.verdicts.scoring.json_compare import differences

    try:
        found = list(islice(differences(expected, got), MOST_LINES + 1))
    except RecursionError:
        return ["nested too deeply to compare"]
    return _bounded([_path_line(difference) for difference in found])


def _path_line(difference: Difference) -> str:
    from pytest_finetune.verdicts.scoring.json_compare import ABSENT

    path = shorten(difference.path)
    if difference.got is ABSENT:
        return f"- {path}: {shown(difference.expected)} is missing"
    if difference.expected is ABSENT:
        return f"+ {path}: {shown(difference.got)} is extra"
    return f"~ {path}: expected {shown(difference.expected)}, got {shown(difference.got)}"


def word_changes(expected: str, got: str) -> list[tuple[str, str]] | None:
    """
    Two texts cut into stretches, each as the one and the other have it: `("the ", "the "), ("brown", "red")`.

    None where marks would tell nothing: one text is longer than `MOST_WORDS`, or the two are hardly alike.
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
    """What both sides share, with the middle of a long stretch left out."""
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
    return _bounded([*lines, *(shorten(line, _WIDTH) for line in changes if not line.startswith("@@"))])


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _bounded(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 1], "… and more"]


def _calls(calls: Any) -> dict[str, Any]:
    from pytest_finetune.verdicts.scoring.tool_call import keyed

    return {key: _value_or_text(call.arguments) for key, call in keyed(calls)}


def _both_values(expected: Any, text: str) -> tuple[Any, Any] | None:
    from pytest_finetune.base.strict_json import JsonFault, parse_json
    from pytest_finetune.verdicts.scoring.json_value import expected_value

    try:
        return expected_value(expected), parse_json(text)
    except JsonFault:
        return None


def _value_or_text(text: str) -> Any:
    from pytest_finetune.base.strict_json import JsonFault, parse_json

    try:
        return parse_json(text)
    except JsonFault:
        return text
