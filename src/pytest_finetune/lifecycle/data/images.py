"""Checks pictures in training rows: OpenAI refuses or skips some."""

from __future__ import annotations

import binascii
import re
from typing import Any
from urllib.parse import urlsplit

from pytest_finetune.base.json_text import type_name
from pytest_finetune.base.text import shorten

SOURCE = "https://platform.openai.com/docs/guides/vision-fine-tuning"
"""Source of the limits and formats."""

MOST_IMAGES, MOST_BYTES = 10, 10_000_000
"""Images in one row, and bytes of one image."""

_DATA = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?;base64,(.*)\Z", re.DOTALL | re.IGNORECASE)
_FORMATS = "write it as JPEG, PNG or WEBP"
# How a file begins, and how it ends within a few bytes; nothing if the end does not show.
_KINDS = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND"), (b"RIFF", b""))
# Bytes at the end of a file that are searched for its last mark: some programs append zeros.
_TAIL = 64


def is_image(part: dict[str, Any]) -> bool:
    """Whether a content part is a picture, in OpenAI's form or in another."""
    kind = part.get("type")
    return isinstance(kind, str) and ("image" in kind or part.get("image_url") is not None)


def image_fault(part: dict[str, Any]) -> tuple[str, str] | None:
    """Problem and hint if a picture cannot be read as it is written."""
    example = 'write {"type": "image_url", "image_url": {"url": "https://…"}}'
    if part.get("type") != "image_url":
        return f"an image of the type {shorten(str(part['type']), 40)!r}", example
    image = part.get("image_url")
    if not isinstance(image, dict):
        return f"image_url is {type_name(image) if 'image_url' in part else 'missing'}, not an object", example
    url = image.get("url")
    if not isinstance(url, str) or not url.strip():
        return "the image has no url", example
    return _data_fault(url) if url[:5].lower() == "data:" else _address_fault(url)


def _address_fault(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{shorten(url, 60)!r} is not an address", "write an https address or a data URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "a server cannot read your files: write an https address, or data:image/png;base64,…"
        return f"{shorten(url, 60)!r} is neither a web address nor a data URL", hint
    return None


def _data_fault(url: str) -> tuple[str, str] | None:
    found = _DATA.match(url)
    if not found:
        return "the data URL is not in base64", "write data:image/png;base64,…"
    if not found[1].lower().startswith("image/"):
        return f"the data URL is of the type {shorten(found[1], 40)!r}, not an image", _FORMATS
    try:
        return _file_fault(binascii.a2b_base64(found[2].encode("ascii"), strict_mode=True))
    except (binascii.Error, UnicodeEncodeError):
        return "the data URL is not valid base64", "encode the file again; the data may be truncated"


def _file_fault(data: bytes) -> tuple[str, str] | None:
    kind = next((kind for kind in _KINDS if data.startswith(kind[0])), None)
    if kind is None or (kind[0] == b"RIFF" and data[8:12] != b"WEBP"):
        return "the image is neither JPEG, PNG nor WEBP", _FORMATS
    if kind[1] and kind[1] not in data[-_TAIL:]:
        return "the image is truncated", "encode the whole file again"
    if len(data) > MOST_BYTES:
        return f"the image has {len(data):,} bytes, more than {MOST_BYTES:,}", "make it smaller"
    return None
