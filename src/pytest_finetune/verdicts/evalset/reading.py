"""Reads the JSON objects of a JSONL file, each with its line; only a line feed ends a line."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import EvalSetError
from pytest_finetune.base.json_text import type_name
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import with_file

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 100
"""Objects and lists within one another; deeper values could overflow the stack of code that walks them."""

UTF8_BOM = b"\xef\xbb\xbf"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MOST_NULS = 0.01
"""Share of NUL bytes in a text file."""

_BLANK = b" \t\r\n"
_JQ_ITEMS, _JQ_OBJECTS = "jq -c '.[]' FILE > NEW.jsonl", "jq -c . FILE > NEW.jsonl"
_BINARY = {
    b"\x1f\x8b": ("gzip", "unpack it: gunzip -c FILE > NEW.jsonl"),
    b"PK\x03\x04": ("zip", "unpack it: unzip -p FILE > NEW.jsonl"),
    b"\x28\xb5\x2f\xfd": ("zstandard", "unpack it: zstd -dc FILE > NEW.jsonl"),
    b"PAR1": ("Parquet", "convert it, for example with pandas: to_json(…, orient='records', lines=True)"),
}
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


class LineFault(ValueError):  # noqa: N818 - a fault in a file, not an error of ours
    """
    A line does not hold a JSON object that can be walked, written and sent.

    Args:
        kind: `invalid_json`, `data_type` or `lone_surrogate`.
        problem: What is wrong, in one clause.
        hint: What to do about it.
    """

    def __init__(self, kind: str, problem: str, hint: str) -> None:
        super().__init__(kind, problem, hint)
        self.kind, self.problem, self.hint = kind, problem, hint


class Faults:
    """
    Collects the faults of one file, each at the line being read, or at the file if it cannot be read.

    Args:
        name: The file's name in messages.

    Attributes:
        line: 1-based line that the next fault belongs to.
        found: All faults so far, in reading order.
    """

    def __init__(self, name: str) -> None:
        self.name, self.line = name, 1
        self.found: list[EvalSetError] = []

    def add(self, problem: str, hint: str = "") -> None:
        """Note one fault at the current line; a command in its hint names the file."""
        self.found.append(EvalSetError(problem, f"{self.name}:{self.line}", with_file(hint, self.name)))

    def add_unreadable(self, reason: str, hint: str) -> None:
        """Note that the file cannot be read, which no line is to blame for."""
        self.found.append(EvalSetError(f"cannot be read: {reason}", self.name, hint))


def read_objects(data: bytes, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """
    The JSON objects of a JSONL file with their 1-based lines; any other line is a fault and is skipped.

    One UTF-8 byte order mark is dropped, lines may end with CRLF, and blank lines are skipped.
    """
    data = data.removeprefix(UTF8_BOM)
    if foreign := _foreign(data):
        faults.add(*foreign)
        return
    blank = True
    for number, raw in enumerate(BytesIO(data), 1):
        line = raw.strip(_BLANK)
        if line:
            blank = False
            faults.line = number
            try:
                yield number, read_object(raw)
            except LineFault as fault:
                faults.add(fault.problem, fault.hint)
    if blank:
        faults.add("the file is empty", 'write one JSON object per line: {"input": "…", "expected": "…"}')


def read_object(raw: bytes) -> dict[str, Any]:
    """
    The JSON object of one line, which is not blank.

    Raises:
        LineFault: There is none, or it could not be walked, written or sent.
    """
    line = raw.strip(_BLANK)
    try:
        text = line.decode()
        value = parse_json(text)
    except UnicodeDecodeError as error:
        # Counted from the start of the line as it is in the file, which `strip` may have moved.
        offset = raw.index(line) + error.start + 1
        problem = f"byte {offset} of the line, 0x{line[error.start]:02x}, is not UTF-8"
        raise LineFault("invalid_json", problem, "save the file as UTF-8") from None
    except JsonFault as fault:
        raise LineFault("invalid_json", f"not strict JSON: {fault.problem}", _json_hint(text, fault)) from None
    if type(value) is not dict:
        hint = f"write one object per line{f': {_JQ_ITEMS}' if _has_objects(value) else ''}"
        raise LineFault("data_type", f"the line holds {type_name(value)}, not an object", hint)
    examine(text, value)
    return value


def foreign_bytes(data: bytes, *, accepted: int = 0) -> tuple[str, str] | None:
    """Problem and hint if the beginning of a file shows that it is not UTF-8 text; some NUL bytes may be accepted."""
    for magic, (name, hint) in _BINARY.items():
        if data.startswith(magic):
            return f"the file is {name} data, not text", hint
    if data.startswith(_LFS_POINTER):
        return "the file is a pointer of Git LFS, not its content", "fetch the content: git lfs pull"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or (data[:4].count(0) > 1 and data[:4].strip(b"\0")):
        return (
            "the file is UTF-16 or UTF-32 text, not UTF-8",
            "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW.jsonl",
        )
    # A few NUL characters are faults of their lines, which are reported there.
    if data.count(0) > max(len(data) * _MOST_NULS, accepted):
        return "the file is binary data, not text", "name a file of JSON lines in UTF-8"
    return None


def _foreign(data: bytes) -> tuple[str, str] | None:
    """Problem and hint if the file is not JSON lines."""
    if foreign := foreign_bytes(data):
        return foreign
    return document_fault(data)


def document_fault(data: bytes) -> tuple[str, str] | None:
    """
    Problem and hint if the first JSON value of a file continues on the next lines.

    Args:
        data: The file, or its beginning, which shows only common layouts.
    """
    data = data.lstrip(_BLANK)
    first, newline, rest = data.partition(b"\n")
    if not newline or not first.startswith((b"[", b"{")):
        return None
    if first.strip(_BLANK) == b"{" and rest.lstrip(_BLANK).startswith(b"{"):
        return None
    if first.strip(_BLANK) not in (b"[", b"{") and b"\n" not in _first_value(data):
        return None
    if first.startswith(b"["):
        return "the file is one JSON array over several lines", f"write one object per line: {_JQ_ITEMS}"
    return "the file has JSON objects over several lines", f"write one object per line: {_JQ_OBJECTS}"


def _first_value(data: bytes) -> bytes:
    """The text of the first JSON value; empty if there is none."""
    text = data.decode("utf-8", "replace")
    try:
        return text[: json.JSONDecoder().raw_decode(text)[1]].encode()
    except (ValueError, RecursionError):
        return b""


def _has_objects(value: Any) -> bool:
    return type(value) is list and bool(value) and all(type(item) is dict for item in value)


def _json_hint(text: str, fault: JsonFault) -> str:
    if text.startswith("\ufeff"):
        return "remove the byte order mark in the middle of the file"
    if "\r" in text:
        return "lines end with \\n or \\r\\n; this file seems to end them with \\r alone"
    if fault.problem.startswith("Extra data") and re.search(r"\}\s*\{", text):
        return f"write one object per line: {_JQ_OBJECTS}"
    return "write one JSON object per line, in double quotes, without NaN, comments, repeated keys or trailing commas"


def examine(text: str, value: Any) -> None:
    """
    Refuse a JSON value that could not be walked or sent; both faults are rare, so its text is asked first.

    Raises:
        LineFault: It is nested more than `MAX_DEPTH` levels deep, or holds half a character.
    """
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper_than(MAX_DEPTH, value):
        problem = f"nested more than {MAX_DEPTH} levels deep"
        raise LineFault("invalid_json", problem, "flatten the value, or write it as text")
    if "\\u" in text and _SURROGATE_ESCAPE.search(text) and (lone := _lone_surrogate(value)):
        problem = f"the lone surrogate \\u{ord(lone):04x} is half a character"
        raise LineFault("lone_surrogate", problem, "write the character itself, or both halves of its pair")


def _is_deeper_than(limit: int, value: Any) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in (dict, list)
        ]
        if not level:
            return False
    return True


def _lone_surrogate(value: Any) -> str:
    """The first lone surrogate in any key or text of a JSON value, or nothing."""
    if type(value) is str:
        return next((character for character in value if "\ud800" <= character <= "\udfff"), "")
    if type(value) is dict:
        return next(filter(None, (_lone_surrogate(part) for pair in value.items() for part in pair)), "")
    if type(value) is list:
        return next(filter(None, map(_lone_surrogate, value)), "")
    return ""
