"""`samples.jsonl`: one sample per line, each with a checksum that reveals torn and edited lines."""

from __future__ import annotations

import json
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Request

_SAMPLE = TypeAdapter(Sample)
_SEAL = b',"crc32":"'
# Made once: `json.dumps` with options makes one for each call.
_PROMPT = json.JSONEncoder(sort_keys=True, default=dict)
_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def sample_to_dict(sample: Sample) -> dict[str, Any]:
    """A sample as plain JSON values without defaults, for record lines and between processes."""
    value: dict[str, Any] = _SAMPLE.dump_python(sample, mode="json", exclude_defaults=True)
    return value


def sample_from_dict(value: dict[str, Any]) -> Sample:
    """
    The sample that `sample_to_dict` wrote.

    Raises:
        pydantic.ValidationError: The value is not a valid sample.
    """
    return _SAMPLE.validate_python(value)


def prompt_sha256(request: Request) -> str:
    """Short hash of the prompt: messages and tools, not the parameters."""
    prompt = [[message.to_wire() for message in request.messages], request.params.get("tools")]
    return sha256(_PROMPT.encode(prompt).encode()).hexdigest()[:16]


def sealed_line(value: dict[str, Any]) -> bytes:
    """One line of `samples.jsonl`: the JSON object with its own CRC-32 as last key."""
    text = _LINE.encode(value).encode()
    return b'%s%s%08x"}\n' % (text[:-1], _SEAL, zlib.crc32(text))


def read_samples(path: Path, *, length: int | None = None) -> Iterator[Sample]:
    """
    The samples of a record in the order of writing; a torn last line is ignored.

    Args:
        path: The file.
        length: Length of the record in bytes; None for the whole file.

    Raises:
        RunError: Any other line is damaged.
    """
    at = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            at += len(line)
            if length is not None and at > length:
                return
            sample = read_line(line)
            if sample is not None:
                yield sample
            elif line.endswith(b"\n"):
                raise RunError(
                    "this line does not match its checksum",
                    f"{path}:{number}",
                    "the record was edited or damaged; restore it from a copy, or run the evaluation again",
                )


def torn_tail(path: Path) -> int:
    """Number of bytes after the last line end, left by a process that was killed while writing."""
    data = path.read_bytes()
    return len(data) - (data.rfind(b"\n") + 1)


def read_line(line: bytes) -> Sample | None:
    """The sample of one line; None if the line is torn or was edited."""
    body, seal, check = line.rpartition(_SEAL)
    text = body + b"}"
    if not seal or check != b'%08x"}\n' % zlib.crc32(text):
        return None
    try:
        return _SAMPLE.validate_json(text)
    except ValidationError:
        return None
