"""Patterns of JSON Schema: ECMA-262 regular expressions, searched within a time limit that no text can break."""

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
"""What one validation may spend on patterns and formats, all texts together."""

LONGEST_TEMPLATE = 10_000
"""Characters of a text that is checked as a URI template, which takes quadratic time and cannot be interrupted."""

MOST_STEPS = 1_000_000
"""Steps of the engine that are taken in this process, some 50 ms at worst; it cannot be interrupted."""

LONG = 2_000
"""Characters of a pattern above which compiling, which takes quadratic time, is left to the other process."""

_seconds_left: ContextVar[float] = ContextVar("_seconds_left", default=SECONDS)
_PUNCTUATION = re.compile(r"\\(.)", re.DOTALL)
_SYNTAX = frozenset("^$\\.*+?()[]{}|/-")
_UNICODE_ONLY = re.compile(r"\\(?![dDsSwWbBnrtfvcxk0-9])[A-Za-z]|\\x(?![0-9A-Fa-f]{2})|\\c(?![A-Za-z])")


def renew_budget() -> None:
    """Give the validation that begins now its full time."""
    _seconds_left.set(SECONDS)


class FormatTimeout(SearchTimeout):
    """A format, its only argument, took too long on a text."""


def within_budget(name: str, check: Callable[[object], bool]) -> Callable[[object], bool]:
    """The check of a format, which raises `FormatTimeout` where it would take too long."""

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
    The pattern, ready to search with.

    Raises:
        ValueError: It is not an ECMA pattern.
    """
    from regress import Regex

    return Regex(*_spelling(pattern))


def is_pattern(text: str) -> bool:
    """
    Whether a text is an ECMA pattern, strictly: with the flag `u`, as the JSON Schema test suite has it.

    Takes linear time, so that any answer can be checked; one that is too long to be compiled in time is no pattern.
    """
    try:
        if len(text) > LONG:
            search_elsewhere(text, "u", "", SECONDS)
        else:
            _strict(text)
    except (ValueError, SearchTimeout):
        return False
    return True


def _strict(pattern: str) -> Regex:
    from regress import Regex, RegressError

    try:
        return Regex(pattern, "u")
    except (RegressError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from None


@lru_cache(maxsize=1024)
def _spelling(pattern: str) -> tuple[str, str]:
    r"""
    The pattern and the flags to compile it with.

    JSON Schema recommends the flag `u`, which `\p{…}` needs. It refuses what many schemas hold and no engine
    misreads: needless escapes such as `\@`, dropped here, and unescaped braces, for which the flag is left out. Any
    other escape it refuses is refused, because it means something else without the flag: `\Z` would be the letter.
    """
    plain = _PUNCTUATION.sub(lambda escape: escape[0] if _needs_escape(escape[1]) else escape[1], pattern)
    try:
        _strict(plain)
    except ValueError:
        if _UNICODE_ONLY.search(_PUNCTUATION.sub(lambda escape: "" if escape[1] == "\\" else escape[0], plain)):
            raise
        from regress import Regex, RegressError

        try:
            Regex(plain)
        except (RegressError, UnicodeEncodeError) as error:
            raise ValueError(str(error)) from None
        return plain, ""
    return plain, "u"


def _needs_escape(character: str) -> bool:
    return character.isalnum() or character == "_" or character in _SYNTAX or not character.isprintable()


def _without_surrogates(text: str) -> str:
    # An answer may hold half of a surrogate pair, which the engine cannot take.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
