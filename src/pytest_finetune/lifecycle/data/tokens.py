"""Counts tokens offline, with the model's own tokenizer if it is known; otherwise counts are estimates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.evaluation.pricing import not_counted
from pytest_finetune.lifecycle.data.libraries import needed
from pytest_finetune.lifecycle.data.local_tokens import content_text, local_chat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_finetune.lifecycle.data.local_tokens import LocalChat
    from pytest_finetune.verdicts.shapes.row import ChatRow

FRAME = 3
"""Extra tokens per message, and once more before the answer."""

PER_NAME = 1
"""Extra tokens if a message has a name."""

SOURCE = "https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb"
"""Source of `FRAME` and `PER_NAME`; OpenAI bills training examples by the same count."""

_ENCODINGS = (
    (re.compile(r"(chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|o1|o3|o4-mini)(-|\Z)"), "o200k_base"),
    (re.compile(r"(gpt-4|gpt-3\.5-turbo|gpt-35-turbo)(-|\Z)"), "cl100k_base"),
)
"""tiktoken's mapping of model names; the first match counts."""

_SUBSTITUTE = "o200k_base"
_MOST_EXPANSION = 1.3
"""
Tokens of another vocabulary for one of `o200k_base`, in ASCII text.

That of SmolLM2, which has a quarter of its size, needs up to 1.25 for Python, 1.21 for Markdown, 1.15 for dialogues.
"""

_MOST_CHAT, _MOST_MESSAGE = 32, 6
"""Tokens of another chat template, and of each of its messages, beyond `FRAME`: a default system prompt takes 20."""

_OTHER = re.compile(r"[0-9]+|[^\x00-\x7f]+")
_UNSEEN_WORD = re.compile(r"[A-Za-z]{40,}")
_PIECE = 40_000
"""Characters counted at once: each has at most four tokens, and the library refuses more than 200,000 tokens."""


class _Encoding(Protocol):
    def encode_ordinary(self, text: str) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class _MostTokens:
    """As many tokens as a smaller vocabulary makes: its letters are rarer, its digits and other bytes single."""

    encoding: _Encoding

    def encode_ordinary(self, text: str) -> Sequence[object]:
        # One more for each run: the space before it is a token of its own.
        single = sum(len(found.encode(errors="replace")) + 1 for found in _OTHER.findall(text))
        rest = _OTHER.sub("", text)
        unseen = sum(map(len, _UNSEEN_WORD.findall(rest)))
        common = len(self.encoding.encode_ordinary(_UNSEEN_WORD.sub("", rest)))
        return range(single + unseen + int(common * _MOST_EXPANSION))


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """
    Counts the tokens of text, messages and training examples.

    Args:
        name: Name of the encoding, such as `o200k_base`.
        exact: Whether it is the model's own; otherwise it is a substitute, and counts are estimates.
    """

    name: str
    exact: bool
    _encoding: _Encoding
    _chat: LocalChat | None = None

    def count(self, text: str) -> int:
        """Tokens of a text; special tokens in it are counted as plain text."""
        if len(text) <= _PIECE:
            return len(self._encoding.encode_ordinary(text))
        # A cut within a word adds a token or two per piece.
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        return sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)

    def count_message(self, message: Mapping[str, Any]) -> int:
        """
        Tokens of one chat message, including `FRAME`.

        The format in which a model sees tool calls is not published; they are counted as name and arguments plus
        `FRAME`. Images, audio and files are not counted; `not_counted` names them.
        """
        total = FRAME + self._of(message.get("role")) + self.count_answer(message)
        return total + (PER_NAME + self._of(message["name"]) if message.get("name") else 0)

    def count_answer(self, message: Mapping[str, Any]) -> int:
        """Tokens that a model generates for a message: text, refusal and tool calls, without role and `FRAME`."""
        calls = message.get("tool_calls")
        called = sum(map(self._call, calls)) if isinstance(calls, list | tuple) else 0
        return self._content(message.get("content")) + self._of(message.get("refusal")) + called

    def count_prompt(self, messages: Iterable[Any], tools: object = None) -> int:
        """Tokens of a prompt: its messages, the tools as compact JSON, and `FRAME` for the answer."""
        read = [message for message in messages if isinstance(message, dict)]
        extra = self.count(compact_json(tools)) if tools else 0
        pieces = self._chat.prompt_pieces(read) if self._chat else None
        if pieces is not None:
            called = sum(self.count_answer(message | {"content": None}) for message in read)
            return sum(map(self.count, pieces)) + len(pieces) - 1 + called + extra
        return FRAME + sum(map(self.count_message, read)) + extra

    def count_row(self, row: ChatRow) -> int:
        """Tokens of a training row in one epoch, with the answer that is not preferred if it has one."""
        rejected = sum(map(self.count_message, row.rejected))
        if self._chat and row.messages:
            *before, answer = row.messages
            # As `serve` trains: the answer is tokenized on its own, and ends with a control token.
            answered = self.count_answer(answer | {"content": content_text(answer.get("content"))})
            return self.count_prompt(before, row.tools) + answered + 1 + rejected
        return self.count_prompt(row.messages, row.tools) + rejected

    def count_most(self, row: ChatRow) -> int:
        """The tokens that a row can be expected to have at most; if the tokenizer is exact, its tokens."""
        if self.exact:
            return self.count_row(row)
        most = Tokenizer(self.name, exact=False, _encoding=_MostTokens(self._encoding))
        return most.count_row(row) + _MOST_CHAT + _MOST_MESSAGE * len(row.messages)

    def _content(self, content: object) -> int:
        if not isinstance(content, list | tuple):
            return self._of(content)
        return sum(self._of(part.get("text")) for part in content if isinstance(part, dict))

    def _call(self, call: object) -> int:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return 0
        return FRAME + self._of(function.get("name")) + self._of(function.get("arguments"))

    def _of(self, text: object) -> int:
        return self.count(text) if isinstance(text, str) else 0


def not_counted_in(row: ChatRow) -> dict[str, int]:
    """What of a row is not counted in tokens: its number by name."""
    return not_counted(message.get("content") for message in row.messages)


def tokenizer_for(model: str) -> Tokenizer:
    """
    The tokenizer of a model, or a substitute.

    Args:
        model: A model id, also `ft:…`.

    Raises:
        FinetuneError: The extra `[data]` is not installed.
    """
    base = base_of(model)
    if (chat := local_chat(base)) is not None:
        return Tokenizer(base.removeprefix("local:"), exact=True, _encoding=chat.encoding, _chat=chat)
    name = next((encoding for pattern, encoding in _ENCODINGS if pattern.match(base)), None)
    return Tokenizer(name or _SUBSTITUTE, name is not None, _encoding(name or _SUBSTITUTE))


@lru_cache(maxsize=2)
def _encoding(name: str) -> _Encoding:
    encoding: _Encoding = needed("bpe_openai").get_encoding(name)
    return encoding
