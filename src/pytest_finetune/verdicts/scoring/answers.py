"""
Reading an answer: strictly to score it, and a second time, leniently, only to name why the strict reading failed.

The lenient reading never turns a wrong answer into a right one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten

if TYPE_CHECKING:
    from pytest_finetune.base.records import Completion

TRIES = 16
"""Places in a text where the lenient reading looks for a JSON value, so that no text makes it quadratic."""

_FENCE = re.compile(r"\s*(?:```|~~~)")
_OPENING = re.compile(r"[{\[]")
_APOLOGY = re.compile(
    r"""\s*(?:
        (?:i['’]?m|i\ am)\ (?:really\ |very\ |so\ )?(?:sorry|unable|not\ able)\b
      | (?:sorry|apologies|unfortunately),?\ (?:but\ )?i\b
      | i\ (?:can(?:['’]t|not|\ not)|won['’]t)\b
      | as\ an\ ai\b
      | (?:很?抱歉|对不起|非常抱歉|不好意思)[，,。！]?\s*我
      | 我(?:无法|不能)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LENIENT = json.JSONDecoder()


def withheld(completion: Completion) -> FormatFault | None:
    """
    Why there is no answer at all; None when there is a text.

    An empty answer is named by its cause where the server told one: it was refused, filtered, or truncated before
    its first visible word.
    """
    if fault := denied(completion):
        return fault
    if completion.text and not completion.text.isspace():
        return None
    if completion.finish_reason == "length":
        return FormatFault(FormatFailure.TRUNCATED, "cut off at the token limit before a word was said")
    said = "the model called tools and said nothing" if completion.tool_calls else "the answer is empty"
    return FormatFault(FormatFailure.EMPTY, said)


def denied(completion: Completion) -> FormatFault | None:
    """A fault when the model refused or a filter stepped in; such an answer has failed whatever it says."""
    if completion.refusal:
        return FormatFault(FormatFailure.REFUSAL, f"the model refused: {shorten(completion.refusal)}")
    if completion.finish_reason == "content_filter":
        return FormatFault(FormatFailure.FILTERED, "the content filter cut the answer")
    return None


def truncated(completion: Completion) -> FormatFault | None:
    """A fault when the token limit cut the answer off; only a wrong answer is asked."""
    if completion.finish_reason == "length":
        return FormatFault(FormatFailure.TRUNCATED, "cut off at the token limit")
    return None


def missed_text(completion: Completion, detail: str) -> Score:
    """The score of a plain text that is not the expected one: truncated, or simply wrong."""
    fault = truncated(completion)
    return fault.score() if fault else Score(passed=False, detail=detail)


def dressed(text: str) -> FormatFault | None:
    """A fault when a text is fenced, or opens as refusals open; only an answer that already failed is asked."""
    if _FENCE.match(text):
        return FormatFault(FormatFailure.FENCED, "the answer is fenced in ``` marks")
    if _APOLOGY.match(text):
        return FormatFault(FormatFailure.REFUSAL, f"the model refused: {shorten(text)}")
    return None


def read_json(completion: Completion) -> Any:
    """
    The JSON value of an answer, read strictly.

    Raises:
        FormatFault: There is no answer, or it is not exactly one strict JSON value.
    """
    if fault := withheld(completion):
        raise fault
    try:
        return parse_json(completion.text)
    except JsonFault as unread:
        raise (truncated(completion) or _diagnose(completion.text, unread)) from None


def _diagnose(text: str, fault: JsonFault) -> FormatFault:
    if fault.kind is not FormatFailure.NOT_JSON:
        return FormatFault(fault.kind, fault.problem)
    if named := dressed(text):
        return named
    if _holds_json(text):
        return FormatFault(FormatFailure.WRAPPED, "there is text around the JSON")
    return FormatFault(fault.kind, f"not JSON: {fault.problem}")


def _holds_json(text: str) -> bool:
    for number, opening in enumerate(_OPENING.finditer(text)):
        if number == TRIES:
            return False
        try:
            _LENIENT.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        return True
    return False
