"""The log probabilities of an answer's tokens; whatever is wrong with them, they are unknown and the answer is not."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.logprobs import pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUNDING = 1e-4
"""How far above 0 a log probability may be: some servers compute in single precision."""


def answer_logprobs(text: str, tokens: Any) -> tuple[tuple[str, float], ...]:
    """
    The tokens that make up an answer, with their log probabilities; empty if they are not known.

    Args:
        text: The answer.
        tokens: `choices[0].logprobs` of a chat completion, or the list of its tokens: `{"token", "logprob", "bytes"}`.
    """
    if isinstance(tokens, dict):
        tokens = tokens.get("content") or _in_columns(tokens)
    if not text or not isinstance(tokens, list):
        return ()
    try:
        return pieces_of(text, tuple(_whole_pieces(tokens)))
    except ValueError:
        return ()


def _in_columns(logprobs: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The form of completions without chat, which Together uses for chats too."""
    tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return None
    return [{"token": token, "logprob": value} for token, value in zip(tokens, values, strict=True)]


def _whole_pieces(tokens: list[Any]) -> Iterator[tuple[str, float]]:
    """The tokens as text; those that share a character become one piece."""
    pending, total = b"", 0.0
    for token in tokens:
        pending += _bytes_of(token)
        total += _logprob_of(token)
        try:
            text = pending.decode()
        except UnicodeDecodeError:
            continue
        yield text, total
        pending, total = b"", 0.0
    if pending:
        yield pending.decode(errors="replace"), total


def _bytes_of(token: Any) -> bytes:
    if not isinstance(token, dict):
        raise ValueError("not a token")  # noqa: TRY004 - of data, not of a call
    if isinstance(given := token.get("bytes"), list) and given:
        return bytes(given) if all(type(each) is int for each in given) else _refuse("bytes that are not numbers")
    text = token.get("token")
    return text.encode() if isinstance(text, str) else _refuse("a token that is not text")


def _logprob_of(token: dict[str, Any]) -> float:
    value = token.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value > _ROUNDING:
        raise ValueError("not a log probability")
    return min(float(value), 0.0)


def _refuse(why: str) -> bytes:
    raise ValueError(why)
