"""Makes text from outside printable, and short enough for one line of output."""

from __future__ import annotations

import json
import unicodedata
from shlex import quote
from typing import Any

_KEPT = "\n\t"


def with_file(hint: str, file: str) -> str:
    """The hint with the file's name, quoted for a shell, in the place of FILE in a command."""
    return hint.replace(" FILE ", f" {quote(file)} ")


def shorten(text: str, limit: int = 80) -> str:
    """The text on one line of at most `limit` characters: its middle is cut, unprintable characters are escaped."""
    short = _cut(text, limit)
    return short if short.isprintable() else _cut(escaped(short), limit)


def described(error: BaseException) -> str:
    """The class and the message of an exception that the user's code raised, which may not even have a message."""
    try:
        message = str(error)
    except BaseException as broken:  # noqa: BLE001 - the user's own `__str__`, which may raise anything, too
        message = f"its __str__ raises {type(broken).__name__}"
    return f"{type(error).__name__}: {message}".removesuffix(": ")


def shown(value: Any, limit: int = 80) -> str:
    """A JSON value as short text on one line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        text = "a value nested too deeply to show"
    return shorten(text, limit)


def escaped(text: str) -> str:
    """The text with unprintable characters escaped."""
    return "".join(map(_escaped_character, text))


def printable(text: str) -> str:
    """The text with control, format and surrogate characters escaped, except line feeds and tabs."""
    if text.isprintable():
        return text
    return "".join(
        c if c in _KEPT or unicodedata.category(c) not in {"Cc", "Cf", "Cs"} else _escape_code(c) for c in text
    )


def _cut(text: str, limit: int) -> str:
    tail = limit // 4
    return text if len(text) <= limit else f"{text[: limit - tail - 1]}…{text[-tail:]}"


def _escaped_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _escape_code(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
