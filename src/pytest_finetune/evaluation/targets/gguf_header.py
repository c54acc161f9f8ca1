"""
Reads single values from the header of a GGUF file.

Source: the GGUF specification, versions 2 and 3.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import BinaryIO

    _Value = bytes | int | list[bytes] | array[int]

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_SIZES = {kind: struct.calcsize(f"<{letter}") for kind, letter in _FORMATS.items()}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 24
"""Bytes of a string or items of an array; a header that claims more is broken."""

_UNKNOWN, _CONTROL = 2, 3
"""Types of the tokens that llama.cpp recognizes only if special tokens are parsed."""

_TOKENS, _TYPES = b"tokenizer.ggml.tokens", b"tokenizer.ggml.token_type"
_KIND, _SPLIT, _MERGES = b"tokenizer.ggml.model", b"tokenizer.ggml.pre", b"tokenizer.ggml.merges"
_TEMPLATE = b"tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """
    How a model tokenizes.

    Args:
        kind: The algorithm: `gpt2` for pairs of bytes, `llama` for SentencePiece, …
        split: Name of the rule that splits text before pairs are merged: `smollm`, `llama-bpe`, …
        tokens: All tokens.
        merges: Pairs, separated by a space, the earliest merged first.
        template: The chat template, in Jinja's language; empty if there is none.
    """

    kind: str
    split: str
    tokens: tuple[str, ...]
    merges: tuple[str, ...]
    template: str


def read_general_type(file: BinaryIO) -> str:
    """
    The type in the header of a GGUF file: `model`, `adapter`, …; `model` if there is none.

    Raises:
        ValueError: It is not a GGUF file.
        struct.error: It ends too early.
    """
    return _text(_read(file, {b"general.type"}).get(b"general.type")) or "model"


def read_vocabulary(path: Path) -> Vocabulary:
    """
    How the model of a GGUF file tokenizes.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a GGUF file.
        struct.error: It ends too early.
    """
    with path.open("rb") as file:
        found = _read(file, {_KIND, _SPLIT, _TOKENS, _MERGES, _TEMPLATE})
    tokens, merges = (_texts(found.get(key)) for key in (_TOKENS, _MERGES))
    return Vocabulary(_text(found.get(_KIND)), _text(found.get(_SPLIT)), tokens, merges, _text(found.get(_TEMPLATE)))


def read_context_length(path: Path) -> int | None:
    """
    The most tokens that the model of a GGUF file reads at once; None if its header does not say.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a GGUF file.
        struct.error: It ends too early.
    """
    with path.open("rb") as file:
        architecture = _read(file, {b"general.architecture"}).get(b"general.architecture")
        key = f"{_text(architecture)}.context_length".encode()
        file.seek(0)
        length = _read(file, {key}).get(key)
    return length if type(length) is int and length > 0 else None


def read_control_tokens(path: Path) -> tuple[str, ...]:
    """
    The texts of a vocabulary's control tokens, such as `<|im_end|>`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a GGUF file.
        struct.error: It ends too early.
    """
    with path.open("rb") as file:
        found = _read(file, {_TOKENS, _TYPES})
    tokens, types = found.get(_TOKENS), found.get(_TYPES)
    if not isinstance(tokens, list) or not isinstance(types, array):
        return ()
    pairs = zip(tokens, types, strict=False)
    return tuple(token.decode(errors="replace") for token, kind in pairs if kind in (_UNKNOWN, _CONTROL))


def _text(value: _Value | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _texts(value: _Value | None) -> tuple[str, ...]:
    return tuple(map(_text, value)) if isinstance(value, list) else ()


def _read(file: BinaryIO, keys: Collection[bytes]) -> dict[bytes, _Value]:
    """The values of some keys."""
    magic, version, _, pairs = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError("not a GGUF file of version 2 or 3")
    found: dict[bytes, _Value] = {}
    for _ in range(pairs):
        key, kind = _string(file), _number(file, "<I")
        value = _value(file, kind)
        if key in keys:
            found[key] = value
            if len(found) == len(keys):
                break
    return found


def _value(file: BinaryIO, kind: int) -> _Value:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        of, count = _number(file, "<I"), _bounded(_number(file, "<Q"))
        if of == _STRING:
            return [_string(file) for _ in range(count)]
        if of not in _SIZES:
            raise ValueError(f"unknown value type {of} in an array")
        return array(_FORMATS[of], file.read(_SIZES[of] * count))
    if kind not in _SIZES:
        raise ValueError(f"unknown value type {kind}")
    return _number(file, f"<{_FORMATS[kind]}")


def _string(file: BinaryIO) -> bytes:
    length = _bounded(_number(file, "<Q"))
    text = file.read(length)
    if len(text) < length:
        raise ValueError("it ends within its header")
    return text


def _number(file: BinaryIO, layout: str) -> int:
    number: int = struct.unpack(layout, file.read(struct.calcsize(layout)))[0]
    return number


def _bounded(count: int) -> int:
    if count > _LONGEST:
        raise ValueError(f"a header value claims {count} items")
    return count
