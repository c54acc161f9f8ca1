"""How many tokens a model sees: counted by its own tokenizer, offline, or said to be an estimate."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FRAME = 3
"""Tokens around every message, and again before the answer."""

PER_NAME = 1
"""One more where a message has a name."""

SOURCE = "https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb"
"""Where `FRAME` and `PER_NAME` come from; OpenAI bills a training example by the same count."""

_ENCODINGS = (
    (re.compile(r"(chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|o1|o3|o4-mini)(-|\Z)"), "o200k_base"),
    (re.compile(r"(gpt-4|gpt-3\.5-turbo|gpt-35-turbo)(-|\Z)"), "cl100k_base"),
)
"""As tiktoken maps the names of models; the first that fits."""

_STAND_IN = "o200k_base"
_PIECE = 40_000
"""Characters counted at once: four tokens each at most, and the library refuses more than 200,000 tokens."""


class _Encoding(Protocol):
    def encode_ordinary(self, text: str) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """
    Counts the tokens of text, messages and training examples.

    Args:
        name: The encoding: `o200k_base`.
        exact: It is the model's own; otherwise it stands in for one that is not known, and counts are estimates.
    """

    name: str
    exact: bool
    _encoding: _Encoding

    def count(self, text: str) -> int:
        """Tokens of a text; special tokens in it count as the text that they are."""
        if len(text) <= _PIECE:
            return len(self._encoding.encode_ordinary(text))
        # A cut can part a word, which adds a token or two for every piece.
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        return sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)

    def count_message(self, message: Mapping[str, Any]) -> int:
        """
        Tokens of one chat message in its frame.

        Text is counted as the model sees it. How tool calls are written for the model is not published: they are
        counted as name and arguments in a frame. Images and audio are not counted.
        """
        total = FRAME + self._of(message.get("role")) + self.count_answer(message)
        return total + (PER_NAME + self._of(message["name"]) if message.get("name") else 0)

    def count_answer(self, message: Mapping[str, Any]) -> int:
        """Tokens that a model writes for a message: its text and its tool calls, without role and frame."""
        calls = message.get("tool_calls")
        return self._content(message.get("content")) + (
            sum(map(self._call, calls)) if isinstance(calls, list | tuple) else 0
        )

    def count_prompt(self, messages: Iterable[Any], tools: Any = None) -> int:
        """Tokens of a prompt: its messages, the tools as compact JSON, and the frame of the answer."""
        counted = sum(self.count_message(message) for message in messages if isinstance(message, dict))
        return FRAME + counted + (self.count(compact_json(tools)) if tools else 0)

    def count_example(self, example: Mapping[str, Any]) -> int:
        """Tokens of a training example in chat format, as one epoch of training sees them; 0 where it has none."""
        messages = example.get("messages")
        return self.count_prompt(messages, example.get("tools")) if isinstance(messages, list) and messages else 0

    def _content(self, content: Any) -> int:
        if not isinstance(content, list | tuple):
            return self._of(content)
        return sum(self._of(part.get("text")) for part in content if isinstance(part, dict))

    def _call(self, call: Any) -> int:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return 0
        return FRAME + self._of(function.get("name")) + self._of(function.get("arguments"))

    def _of(self, text: Any) -> int:
        return self.count(text) if isinstance(text, str) else 0


def tokenizer_for(model: str) -> Tokenizer:
    """
    The tokenizer of a model, or one that stands in for it.

    Args:
        model: A model id, `ft:…` too.

    Raises:
        FinetuneError: The extra `[data]` is not installed.
    """
    base = base_of(model)
    name = next((encoding for pattern, encoding in _ENCODINGS if pattern.match(base)), None)
    return Tokenizer(name or _STAND_IN, name is not None, _encoding(name or _STAND_IN))


def compact_json(value: Any) -> str:
    """JSON without the white space that would be tokens too; keys stay in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=2)
def _encoding(name: str) -> _Encoding:
    encoding: _Encoding = needed("bpe_openai").get_encoding(name)
    return encoding
