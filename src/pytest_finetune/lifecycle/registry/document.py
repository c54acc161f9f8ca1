"""Reading and writing the text of `registry.json`: no unknown fields, and a stable order that keeps diffs small."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from types import NoneType
from typing import TYPE_CHECKING, TypeGuard, get_args

from pydantic import BaseModel, ValidationError

from pytest_finetune.base.errors import RegistryError, did_you_mean
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.registry.entry import FORMAT, Registry

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    Place = tuple[int | str, ...]


def read_document(data: bytes, name: str) -> Registry:
    """
    Parse a registry; `verify` checks whether it agrees with its history.

    Args:
        data: The text, UTF-8.
        name: The file name, for errors.

    Raises:
        RegistryError: It is not strict JSON (at `file:line`), was written by a newer version, or has an unknown or
            invalid field (at `file:path.to.field`).
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
    The text of a registry: sorted keys, indented by one space, with a final line feed.

    Raises:
        ValueError: A value cannot be written as JSON; `apply` refuses such values before.
    """
    values = registry.model_dump(mode="json")
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _parsed(data: bytes, name: str) -> object:
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
        return "these are conflict markers of a merge: keep one side, and repeat the changes of the other"
    if not text.strip():
        return "the file is empty: delete it to start again, or restore it from the repository"
    return "restore it from the repository; pytest-finetune never writes a partial file"


def _check_format(values: object, name: str) -> None:
    if not isinstance(values, dict) or "format" not in values:
        raise RegistryError("is not a registry: it has no format", name, f'a registry has "format": {FORMAT}')
    number = values["format"]
    if type(number) is int and number > FORMAT:
        raise RegistryError(
            f"has format {number}, and this version reads up to {FORMAT}",
            f"{name}:format",
            "it was written by a newer pytest-finetune: upgrade; the file was not changed",
        )
    if type(number) is not int or number < FORMAT:
        raise RegistryError(f"{json.dumps(number)} is not a known format", f"{name}:format", f"it should be {FORMAT}")


def _explained(details: list[ErrorDetails], name: str) -> RegistryError:
    # A misspelt field is also missing under its correct name; report the misspelling.
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    problem, hint = _problem_and_hint(first)
    if len(details) > 1:
        problem += f" (and {len(details) - 1} more)"
    path = _path(first["loc"])
    return RegistryError(problem, f"{name}:{path}" if path else name, hint)


def _problem_and_hint(detail: ErrorDetails) -> tuple[str, str]:
    if detail["type"] == "extra_forbidden":
        return "unknown field", did_you_mean(str(detail["loc"][-1]), _fields_at(detail["loc"][:-1]))
    if detail["type"] == "enum":
        allowed = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"unknown value {detail['input']!r}", did_you_mean(str(detail["input"]), allowed)
    return detail["msg"][:1].lower() + detail["msg"][1:], ""


def _path(place: Place) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


def _fields_at(place: Place) -> list[str]:
    """The field names of the record at a place."""
    kind: object = Registry
    for key in place:
        kind = kind.model_fields[str(key)].annotation if _is_record(kind) else _inner_type(kind)
        kind = kind if _is_record(kind) or NoneType not in get_args(kind) else _inner_type(kind)
    return list(kind.model_fields) if _is_record(kind) else []


def _is_record(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _inner_type(kind: object) -> object:
    """The type inside a container or an optional field: `Entry` for `dict[str, Entry]` and for `Entry | None`."""
    return next(inner for inner in reversed(get_args(kind)) if inner not in {NoneType, Ellipsis})
