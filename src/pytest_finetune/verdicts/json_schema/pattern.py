"""Patterns of JSON Schema: ECMA-262 regular expressions, searched under a time limit that holds for any text."""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.json_schema.pattern_cost import cost_of
from pytest_finetune.verdicts.json_schema.search_process import SearchTimeout, search_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from regress import Regex

SECONDS = 1.0
"""Time limit for all patterns and formats of one validation together."""

LONGEST_TEMPLATE = 10_000
"""Longest text checked as a URI template: the check takes quadratic time and cannot be interrupted."""

MOST_STEPS = 1_000_000
"""Steps up to which a search runs in this process: 50 ms at most, because it cannot be interrupted."""

LONG = 2_000
"""Longer patterns, in characters, are compiled in the other process, because compiling takes quadratic time."""

MOST_CHECKS = 500_000
"""Keywords checked in one validation, some seconds of work: nested alternatives can take exponential time."""

_checks_left: ContextVar[list[int] | None] = ContextVar("_checks_left", default=None)
_seconds_left: ContextVar[float] = ContextVar("_seconds_left", default=SECONDS)
_PUNCTUATION = re.compile(r"\\(.)", re.DOTALL)
_SYNTAX = frozenset("^$\\.*+?()[]{}|/-")
_UNICODE_ONLY = re.compile(r"\\(?![dDsSwWbBnrtfvcxk0-9])[A-Za-z]|\\x(?![0-9A-Fa-f]{2})|\\c(?![A-Za-z])")


def renew_budget() -> None:
    """Reset the limits for a new validation."""
    _seconds_left.set(SECONDS)
    _checks_left.set([MOST_CHECKS])


def count_check() -> None:
    """
    Count one keyword of this validation.

    Raises:
        ChecksUsedUp: There were too many.
    """
    left = _checks_left.get()
    if left is None:
        left = [MOST_CHECKS]
        _checks_left.set(left)
    left[0] -= 1
    if left[0] < 0:
        raise ChecksUsedUp("schema")


class ChecksUsedUp(SearchTimeout):
    """The schema needs too many steps for a value."""


class FormatTimeout(SearchTimeout):
    """A format, its only argument, took too long on a text."""


def within_budget(name: str, check: Callable[[object], bool]) -> Callable[[object], bool]:
    """The check of a format, raising `FormatTimeout` if it would take too long."""

    def checked(value: object) -> bool:
        left = _seconds_left.get()
        is_long = name == "uri-template" and isinstance(value, str) and len(value) > LONGEST_TEMPLATE
        if left <= 0 or is_long:
            raise FormatTimeout(name)
        start = perf_counter()
        try:
            return check(value)
        finally:
            _seconds_left.set(left - (perf_counter() - start))

    return checked


def search(pattern: str, text: str) -> bool:
    """
    Whether an ECMA pattern occurs in a text.

    Raises:
        SearchTimeout: The time of this validation is used up.
    """
    left = _seconds_left.get()
    if left <= 0:
        raise SearchTimeout(pattern)
    text = _without_surrogates(text)
    if len(pattern) <= LONG and cost_of(pattern).steps(len(text)) <= MOST_STEPS:
        start = perf_counter()
        found = compiled(pattern).find(text) is not None
        spent = perf_counter() - start
    else:
        try:
            found, spent = search_elsewhere(*_spelling(pattern), text, left)
        except SearchTimeout:
            _seconds_left.set(0)
            raise SearchTimeout(pattern) from None
    _seconds_left.set(left - spent)
    return found


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Regex:
    """
    The compiled pattern.

    Raises:
        ValueError: It is not an ECMA pattern.
    """
    return _regex(*_spelling(pattern))


def is_pattern(text: str) -> bool:
    """
    Whether a text is an ECMA pattern, strictly: with the flag `u`, as in the JSON Schema test suite.

    It takes linear time, so that any answer can be checked; False for a text that takes too long to compile.
    """
    try:
        if len(text) > LONG:
            search_elsewhere(text, "u", "", SECONDS)
        else:
            _regex(text, "u")
    except (ValueError, SearchTimeout):
        return False
    return True


def _regex(pattern: str, flags: str) -> Regex:
    from regress import Regex, RegressError

    try:
        return Regex(pattern, flags)
    except (RegressError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from None


@lru_cache(maxsize=1024)
def _spelling(pattern: str) -> tuple[str, str]:
    r"""
    The pattern and the flags to compile it with.

    JSON Schema recommends the flag `u`, which `\p{…}` needs. It rejects two things that many schemas contain
    and every engine reads alike: needless escapes such as `\@`, which are dropped here, and unescaped braces, for which
    the flag is left out. Any other escape that it rejects is an error, because without the flag it has another
    meaning: `\Z` would be the letter.
    """
    plain = _PUNCTUATION.sub(lambda escape: escape[0] if _needs_escape(escape[1]) else escape[1], pattern)
    try:
        _regex(plain, "u")
    except ValueError:
        if _UNICODE_ONLY.search(_PUNCTUATION.sub(lambda escape: "" if escape[1] == "\\" else escape[0], plain)):
            raise
        _regex(plain, "")
        return plain, ""
    return plain, "u"


def _needs_escape(character: str) -> bool:
    return character.isalnum() or character == "_" or character in _SYNTAX or not character.isprintable()


def _without_surrogates(text: str) -> str:
    # An answer may contain half of a surrogate pair, which the engine does not accept.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
