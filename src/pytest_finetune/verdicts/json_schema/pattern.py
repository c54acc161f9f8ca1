"""Patterns of JSON Schema, which are ECMA-262's, searched by `regex` under a time limit: no text can hang one."""

from __future__ import annotations

import re
import warnings
from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter
from typing import Any

SECONDS = 1.0
"""What one validation may spend on searching, all patterns and texts together."""

_seconds_left: ContextVar[float] = ContextVar("_seconds_left", default=SECONDS)
_PART = re.compile(r"\\.|\[\^?|\]|\$|[^\\\[\]$]+", re.DOTALL)
_ASCII = {r"\d": "0-9", r"\w": "A-Za-z0-9_"}
_ASCII_NOT = {r"\D": "[^0-9]", r"\W": "[^A-Za-z0-9_]"}


class SearchTimeout(Exception):  # noqa: N818 - named as what happened
    """A pattern, its only argument, took too long on a text."""


def renew_budget() -> None:
    """Give the validation that begins now its full time."""
    _seconds_left.set(SECONDS)


def search(pattern: str, text: str) -> bool:
    """
    Whether an ECMA pattern occurs in a text.

    Raises:
        SearchTimeout: The time of this validation is used up.
    """
    left = _seconds_left.get()
    if left <= 0:
        raise SearchTimeout(pattern)
    start = perf_counter()
    try:
        return compiled(pattern).search(text, timeout=left) is not None
    except (TimeoutError, MemoryError):
        raise SearchTimeout(pattern) from None
    finally:
        _seconds_left.set(_seconds_left.get() - (perf_counter() - start))


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """
    The pattern, ready to search with.

    Raises:
        regex.error: It is not a pattern.
    """
    import regex

    with warnings.catch_warnings():
        # A set within a set will mean something else in some later version; the floor of the dependency holds.
        warnings.simplefilter("ignore", FutureWarning)
        return regex.compile(translated(pattern), regex.VERSION0)


def translated(pattern: str) -> str:
    r"""The pattern in Python's words: `$` is the very end of the text, `\d` and `\w` are ASCII."""
    words: list[str] = []
    inside = False
    for part in _PART.findall(pattern):
        if part == "$" and not inside:
            words.append(r"\Z")
        elif part in _ASCII:
            words.append(_ASCII[part] if inside else f"[{_ASCII[part]}]")
        elif part in _ASCII_NOT and not inside:
            words.append(_ASCII_NOT[part])
        else:
            words.append(part)
        inside = part != "]" and (inside or part[0] == "[")
    return "".join(words)
