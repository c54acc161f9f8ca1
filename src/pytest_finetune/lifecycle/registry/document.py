"""`registry.json` as text: strict to read, so that no field goes unread; stable to write, so that a diff is small."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from pytest_finetune.base.errors import RegistryError, did_you_mean
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.registry.entry import FORMAT, Registry

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    Place = tuple[int | str, ...]


def read_document(data: bytes, name: str) -> Registry:
    """
    The registry that a text holds; whether its history agrees is for `verify` to say.

    Args:
        data: The text, UTF-8.
        name: The file, for errors.

    Raises:
        RegistryError: It is not strict JSON (at `file:line`), written by a newer version, or a field is unknown or
            wrong (at `file:path.to.field`).
    """
    data = data.removeprefix(BOM_UTF8)
    values = _parsed(data, name)
    _check_format(values, name)
    try:
        return Registry.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise _explained(error.errors(), name) from None


def write_document(registry: Registry) -> bytes:
    """
    The text of a registry: keys sorted, one space of indent, a final line feed.

    Raises:
        RegistryError: A value has no place in JSON.
    """
    values = registry.model_dump(mode="json")
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _parsed(data: bytes, name: str) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RegistryError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", f"{name}:{line}", "save the file as UTF-8"
        ) from None
    try:
        return parse_json(text)
    except JsonFault as fault:
        place = name if fault.position is None else f"{name}:{text.count(chr(10), 0, fault.position) + 1}"
        raise RegistryError(f"not strict JSON: {fault.problem}", place, _json_hint(text)) from None


def _json_hint(text: str) -> str:
    if re.search(r"^<{7} ", text, re.MULTILINE):
        return "a merge left its marks: take one side whole and make the other side's changes again"
    if not text.strip():
        return "the file is empty: delete it to begin anew, or restore it from the repository"
    return "restore it from the repository; pytest-finetune itself replaces the file whole or not at all"


def _check_format(values: Any, name: str) -> None:
    if type(values) is not dict or "format" not in values:
        raise RegistryError("is not a registry: it has no format", name, f'one begins as {{"format": {FORMAT}}}')
    number = values["format"]
    if type(number) is int and number > FORMAT:
        raise RegistryError(
            f"has format {number}, and this version reads up to {FORMAT}",
            f"{name}:format",
            "a newer pytest-finetune wrote it: upgrade; the file is left as it is",
        )
    if type(number) is not int or number < FORMAT:
        raise RegistryError(f"{json.dumps(number)} is no format", f"{name}:format", f"it should be {FORMAT}")


def _explained(details: list[ErrorDetails], name: str) -> RegistryError:
    # A misspelt field is missing under its right name too: the misspelling is what to tell.
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    problem, hint = _told(first)
    if len(details) > 1:
        problem += f" (and {len(details) - 1} more)"
    path = _path(first["loc"])
    return RegistryError(problem, f"{name}:{path}" if path else name, hint)


def _told(detail: ErrorDetails) -> tuple[str, str]:
    if detail["type"] == "extra_forbidden":
        return "unknown field", did_you_mean(str(detail["loc"][-1]), _fields_at(detail["loc"][:-1]))
    if detail["type"] == "enum":
        allowed = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"unknown value {detail['input']!r}", did_you_mean(str(detail["input"]), allowed)
    return detail["msg"][:1].lower() + detail["msg"][1:], ""


def _path(place: Place) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


def _fields_at(place: Place) -> list[str]:
    """The fields that the record at a place may have."""
    kind: Any = Registry
    for key in place:
        kind = kind.model_fields[key].annotation if _is_record(kind) else _held(kind)
        kind = kind if _is_record(kind) or NoneType not in get_args(kind) else _held(kind)
    return list(kind.model_fields) if _is_record(kind) else []


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _held(kind: Any) -> Any:
    """What a container or an optional field holds: `Entry` of `dict[str, Entry]` and of `Entry | None`."""
    return next(inner for inner in reversed(get_args(kind)) if inner not in {NoneType, Ellipsis})
