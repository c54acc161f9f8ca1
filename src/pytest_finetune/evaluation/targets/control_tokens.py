"""
Keeps text from being read as a control token.

llama.cpp parses control tokens in the whole prompt, after the template was filled in. A message with the text
`<|im_end|>` would end its own turn, and could go on as another role.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_finetune.evaluation.targets.gguf_header import read_control_tokens

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Message, Request


@lru_cache(maxsize=8)
def control_pattern(model: Path) -> re.Pattern[str] | None:
    """What matches the first character of each control token of a GGUF model; None if it has no such tokens."""
    try:
        tokens = read_control_tokens(model)
    except (OSError, ValueError, struct.error):
        # llama.cpp, which loads the same file, reports what is wrong.
        return None
    # The first character only, so that tokens that overlap are all found.
    texts = "|".join(re.escape(token) for token in tokens if len(token) > 1)
    return re.compile(f"(?s)(?=({texts})).") if texts else None


def escape_text(text: str, pattern: re.Pattern[str] | None) -> str:
    """
    The text with a space after the first character of each control token: `< |im_end|>`.

    Text without control tokens is unchanged. A visible change is better than an invisible character, which a model
    would copy into its answers.
    """
    return pattern.sub(r"\g<0> ", text) if pattern is not None else text


def escape_request(request: Request, pattern: re.Pattern[str] | None) -> Request:
    """The request with all texts of its messages and tools escaped; templates write both into the prompt."""
    if pattern is None:
        return request
    params = request.params
    if tools := params.get("tools"):
        params = {**params, "tools": _value(tools, pattern)}
    return replace(request, messages=tuple(_message(message, pattern) for message in request.messages), params=params)


def _message(message: Message, pattern: re.Pattern[str]) -> Message:
    content, extra = _value(message.content, pattern), _value(message.extra, pattern)
    return replace(message, content=content, extra=extra)


def _value(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return escape_text(value, pattern)
    if isinstance(value, Mapping):
        return {escape_text(key, pattern): _value(inner, pattern) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_value(inner, pattern) for inner in value]
    return value
