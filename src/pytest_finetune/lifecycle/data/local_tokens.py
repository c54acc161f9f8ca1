"""How a local model tokenizes a chat and how much it reads, from the header of its GGUF file."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pytest_finetune.base.errors import TargetError
from pytest_finetune.evaluation.targets.control_tokens import control_pattern, escape_text
from pytest_finetune.evaluation.targets.gguf_header import read_context_length, read_control_tokens, read_vocabulary
from pytest_finetune.evaluation.targets.weights import BASE, find_weights
from pytest_finetune.lifecycle.data.byte_pairs import SPLITS, BytePairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.evaluation.targets.weights import Weights

MODELS = Path(".finetune", "models")
"""The folder in which `local:NAME` is looked up."""

_UNREADABLE = (OSError, ValueError, struct.error)


@dataclass(frozen=True, slots=True)
class LocalChat:
    """
    The vocabulary and the chat template of a local model.

    Args:
        encoding: Its byte pairs.
    """

    encoding: BytePairs
    _template: Template
    _control: re.Pattern[str] | None
    _special: re.Pattern[str]

    def prompt_pieces(self, messages: Iterable[Mapping[str, Any]]) -> list[str] | None:
        """The prompt of messages of text, cut at its control tokens; None if the template does not accept them."""
        turns = [{"role": _role(message), "content": self._content(message)} for message in messages]
        try:
            return self._special.split(self._template.render(messages=turns, add_generation_prompt=True))
        except (TemplateError, TypeError):
            return None

    def _content(self, message: Mapping[str, Any]) -> str:
        return escape_text(content_text(message.get("content")), self._control)


def content_text(content: object) -> str:
    """The text of a message; the trainer joins parts by line breaks."""
    if isinstance(content, list | tuple):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


@lru_cache(maxsize=4)
def local_chat(model: str) -> LocalChat | None:
    """
    How a local model tokenizes.

    Args:
        model: `smollm2-135m`, or the spec of another local model, `local:…`.

    Returns:
        None if it is not local, its file is not on this machine, or its tokenizer is of another kind.

    Raises:
        DataError: The extra `[data]` is not installed.
    """
    weights = _weights(model)
    if weights is None:
        return None
    try:
        vocabulary, special = read_vocabulary(weights.model), read_control_tokens(weights.model)
        template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(vocabulary.template)
    except (*_UNREADABLE, TemplateError):
        return None
    if vocabulary.kind != "gpt2" or vocabulary.split not in SPLITS or not vocabulary.template or not special:
        return None
    texts = "|".join(map(re.escape, sorted(special, key=len, reverse=True)))
    encoding = BytePairs(vocabulary.tokens, vocabulary.merges, vocabulary.split)
    return LocalChat(encoding, template, control_pattern(weights.model), re.compile(texts))


@lru_cache(maxsize=4)
def local_context(model: str) -> int | None:
    """The most tokens that a `local:` model reads at once; None for adapters and what is not on this machine."""
    weights = _weights(model)
    if weights is None or weights.adapter is not None:
        return None
    try:
        return read_context_length(weights.model)
    except _UNREADABLE:
        return None


def is_trained_here(model: str) -> bool:
    """Whether a model is smollm2-135m or an adapter on it, which `pytest-finetune serve` trains."""
    if model.removeprefix("local:") == BASE:
        return True
    weights = _weights(model)
    return weights is not None and weights.adapter is not None


def _weights(model: str) -> Weights | None:
    if model != BASE and not model.startswith("local:"):
        return None
    try:
        return find_weights(f"local:{model.removeprefix('local:')}", MODELS)
    except TargetError:
        return None


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    return "system" if role == "developer" else str(role)
