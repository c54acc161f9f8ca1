"""Small GGUF files written by hand: headers to read, and a LoRA adapter for smollm2-135m."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ALIGNMENT = 32
HIDDEN = 576
"""Width of smollm2-135m."""


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(of: object) -> bytes:
    """A typed header value: text, whole number, float, truth value, or a list of texts."""
    if isinstance(of, str):
        return struct.pack("<I", 8) + string(of)
    if isinstance(of, bool):
        return struct.pack("<I?", 7, of)
    if isinstance(of, int):
        return struct.pack("<II", 4, of)
    if isinstance(of, float):
        return struct.pack("<If", 6, of)
    if isinstance(of, bytes):
        return struct.pack("<IIQ", 9, 0, len(of)) + of
    assert isinstance(of, list)
    return struct.pack("<IIQ", 9, 8, len(of)) + b"".join(map(string, of))


def gguf(header: Mapping[str, object], tensors: Sequence[tuple[str, tuple[int, int], bytes]] = ()) -> bytes:
    """A file of version 3; tensors are (name, shape as GGUF orders it, float32 bytes)."""
    out = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(header))
    out += b"".join(string(key) + value(of) for key, of in header.items())
    offset, body = 0, b""
    for name, shape, data in tensors:
        out += string(name) + struct.pack("<IQQIQ", 2, *shape, 0, offset)
        padded = data + bytes(-len(data) % ALIGNMENT)
        body, offset = body + padded, offset + len(padded)
    return out + bytes(-len(out) % ALIGNMENT) + body


def write_adapter(path: Path, strength: float) -> None:
    """A rank-1 LoRA that adds `strength` everywhere to the first attention output; 0.0 changes nothing."""
    one = struct.pack(f"<{HIDDEN}f", *[strength] * HIDDEN)
    other = struct.pack(f"<{HIDDEN}f", *[1.0] * HIDDEN)
    name = "blk.0.attn_output.weight"
    header = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 1.0,
    }
    tensors = [(f"{name}.lora_a", (HIDDEN, 1), other), (f"{name}.lora_b", (1, HIDDEN), one)]
    path.write_bytes(gguf(header, tensors))
