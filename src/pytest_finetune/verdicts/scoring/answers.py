"""
Reading answers: strictly for the score, and if that fails, leniently to find out why.

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
"""Positions at which the lenient reading tries to parse JSON; without a limit it would take quadratic time."""

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


def missing_answer(completion: Completion) -> FormatFault | None:
    """
    The fault of an answer without text; None if there is text.

    It names the cause if the server reports one: a refusal, a content filter, or the token limit.
    """
    if fault := refused(completion):
        return fault
    if completion.text and not completion.text.isspace():
        return None
    if completion.finish_reason == "length":
        return FormatFault(FormatFailure.TRUNCATED, f"cut off at the token limit before any {_answer(completion)}")
    if completion.tool_calls:
        return FormatFault(FormatFailure.EMPTY, "the model called tools and returned no text")
    reasoned = _answer(completion) == "answer"
    return FormatFault(FormatFailure.EMPTY, "reasoning only" if reasoned else "the answer is empty")


def _answer(completion: Completion) -> str:
    """What is missing: an answer if the model reasoned, else any text."""
    return "answer" if completion.reasoning or (completion.usage and completion.usage.reasoning) else "text"


def refused(completion: Completion) -> FormatFault | None:
    """The fault of a refused or filtered answer, which fails whatever its text; None for any other."""
    if completion.refusal:
        return FormatFault(FormatFailure.REFUSAL, f"the model refused: {shorten(completion.refusal)}")
    if completion.finish_reason == "content_filter":
        return FormatFault(FormatFailure.FILTERED, "the answer was cut off by the content filter")
    return None


def truncated(completion: Completion) -> FormatFault | None:
    """The fault of an answer that was cut off at the token limit, to be called for wrong answers only; else None."""
    if completion.finish_reason == "length":
        return FormatFault(FormatFailure.TRUNCATED, "cut off at the token limit")
    return None


def missed_text(completion: Completion, detail: str) -> Score:
    """The score of a plain text that is not the expected one: truncated, or simply wrong."""
    fault = truncated(completion)
    return fault.score() if fault else Score(passed=False, detail=detail)


def fenced_or_refused(text: str) -> FormatFault | None:
    """The fault of a text in a code fence, or with the opening of a refusal, if the answer failed anyway; else None."""
    if _FENCE.match(text):
        return FormatFault(FormatFailure.FENCED, "the answer is in a code fence")
    if _APOLOGY.match(text):
        return FormatFault(FormatFailure.REFUSAL, f"the model refused: {shorten(text)}")
    return None


def read_json(completion: Completion) -> Any:
    """
    The JSON value of an answer, read strictly.

    Raises:
        FormatFault: There is no answer, or it is not exactly one strict JSON value.
    """
    if fault := missing_answer(completion):
        raise fault
    try:
        return parse_json(completion.text)
    except JsonFault as unread:
        raise (truncated(completion) or _diagnose(completion.text, unread)) from None


def _diagnose(text: str, fault: JsonFault) -> FormatFault:
    if fault.kind is not FormatFailure.NOT_JSON:
        return FormatFault(fault.kind, fault.problem)
    if named := fenced_or_refused(text):
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
