"""Masking of secrets: API keys in text from outside, and secrets that a data check finds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.base.records import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.base.records import Completion

MASK = "[API key]"
_LIKE_A_KEY = re.compile(r"\b(sk|rk|pk)-[\w*-]{3,}|\b(Bearer) [\w.~+/*=-]+", re.ASCII)
_SHORT, _LONG = 6, 24
_ABBREVIATED = 10
"""Longest secret of which only the first character is shown."""

LONGEST_ERROR = 300
"""Characters of an error's text."""

_PIECE = 10
"""Length from which a piece of a key is masked too: a shortened text may have cut the key."""


def is_secret(key: str) -> bool:
    """
    Whether a key is worth hiding in an answer.

    For servers without keys people set `EMPTY`, `none` or `not-needed`. Such a word, or a number, may be a right
    answer, so a short key must have both letters and digits.
    """
    is_mixed = any(character.isdigit() for character in key) and any(character.isalpha() for character in key)
    return len(key) >= _LONG or (len(key) >= _SHORT and is_mixed)


def masked(text: str, key: str) -> str:
    """The text without the key, and without a first or last piece of it that a cut has left over."""
    if not is_secret(key) or (key[:_PIECE] not in text and key[-_PIECE:] not in text):
        return text
    return _pieces(_pieces(text.replace(key, MASK), key)[::-1], key[::-1], MASK[::-1])[::-1]


def masked_keys(text: str, keys: Iterable[str]) -> str:
    """The text without any of the keys; see `masked`."""
    for key in keys:
        text = masked(text, key)
    return text


def without_keys(text: str, key: str = "") -> str:
    """An error's text without the key, whatever its length, and without anything that looks like one."""
    text = text.replace(key, MASK) if key else text
    return _LIKE_A_KEY.sub(lambda found: f"{found[1]}-{MASK}" if found[1] else f"{found[2]} {MASK}", text)


def abbreviated(secret: str) -> str:
    """A secret as findings show it, enough to find it again: `sk-…9f (51 characters)`."""
    shown = f"{secret[:3]}…{secret[-2:]}" if len(secret) > _ABBREVIATED else f"{secret[:1]}…"
    return f"{shown} ({len(secret)} characters)"


def abbreviated_in(text: str, secrets: Iterable[str]) -> str:
    """The text with each of the secrets abbreviated."""
    for secret in secrets:
        text = text.replace(secret, abbreviated(secret))
    return text


def error_line(text: str, secret: str = "") -> str:
    """An error's text on one line of at most `LONGEST_ERROR` printable characters, with every key masked."""
    line = " ".join("".join(char if char.isprintable() else " " for char in without_keys(text, secret)).split())
    return line if len(line) <= LONGEST_ERROR else line[: LONGEST_ERROR - 1] + "…"


def masked_completion(completion: Completion, key: str) -> Completion:
    """The answer without the key, in whichever field the server repeated it."""
    texts = ("text", "refusal", "model", "finish_reason", "reasoning")
    values = [getattr(completion, name) for name in texts]
    called = [text for call in completion.tool_calls for text in (call.name, call.arguments)]
    pieces = "".join(piece for piece, _ in completion.logprobs)
    if not is_secret(key) or not any(key in text for text in [*values, *called, pieces]):
        return completion
    calls = (ToolCall(c.name.replace(key, MASK), c.arguments.replace(key, MASK)) for c in completion.tool_calls)
    cleaned = {name: text.replace(key, MASK) for name, text in zip(texts, values, strict=True)}
    # Pieces of a key cannot be masked one by one, so the probability of such an answer is unknown.
    return replace(completion, tool_calls=tuple(calls), logprobs=(), **cleaned)


def _pieces(text: str, key: str, mask: str = MASK) -> str:
    """The text without any beginning of the key of at least `_PIECE` characters."""
    kept, start = [], 0
    while (at := text.find(key[:_PIECE], start)) >= 0:
        length = next((n for n in range(len(key), _PIECE, -1) if text.startswith(key[:n], at)), _PIECE)
        kept += [text[start:at], mask]
        start = at + length
    return "".join((*kept, text[start:]))
