"""
Reads single values from the header of a GGUF file.

Source: the GGUF specification, versions 2 and 3.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import BinaryIO

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_SIZES = {kind: struct.calcsize(f"<{letter}") for kind, letter in _FORMATS.items()}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 24
"""Bytes of a string or items of an array; a header that claims more is broken."""

_UNKNOWN, _CONTROL = 2, 3
"""Types of the tokens that llama.cpp recognizes only if special tokens are parsed."""

_TOKENS, _TYPES = b"tokenizer.ggml.tokens", b"tokenizer.ggml.token_type"


def read_general_type(file: BinaryIO) -> str:
    """
    The type in the header of a GGUF file: `model`, `adapter`, …; `model` if there is none.

    Raises:
        ValueError: It is not a GGUF file.
        struct.error: It ends too early.
    """
    value = _read(file, {b"general.type"}).get(b"general.type")
    return value.decode(errors="replace") if isinstance(value, bytes) else "model"


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


def _read(file: BinaryIO, keys: Collection[bytes]) -> dict[bytes, bytes | list[bytes] | array[int]]:
    """The values of some keys that are texts, lists of texts, or lists of numbers."""
    magic, version, _, pairs = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError("not a GGUF file of version 2 or 3")
    found: dict[bytes, bytes | list[bytes] | array[int]] = {}
    for _ in range(pairs):
        key, kind = _string(file), _number(file, "<I")
        value = _value(file, kind)
        if key in keys and value is not None:
            found[key] = value
            if len(found) == len(keys):
                break
    return found


def _value(file: BinaryIO, kind: int) -> bytes | list[bytes] | array[int] | None:
    """The next value; None for a single number, which is skipped."""
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
    file.seek(_SIZES[kind], 1)
    return None


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
