"""JSON values as text: canonical to compare them, compact to send them, and the names of their types in messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container

Json: TypeAlias = "dict[str, Any] | list[Any] | str | int | float | bool | None"
"""A JSON value; what objects and arrays hold is checked where it is read."""

_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=dict)
# Made once: `json.dumps` with options makes one for each call.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_TYPE_NAMES = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


def canonical_json(value: Any) -> str:
    """A JSON value as text that does not depend on key order or white space."""
    return _CANONICAL.encode(value)


def without_nulls(value: Any, keep: Container[str] = ()) -> Any:
    """A JSON value without keys whose value is null, except those in `keep`, where null is a value like any other."""
    if isinstance(value, dict):
        return {key: without_nulls(item, keep) for key, item in value.items() if item is not None or key in keep}
    return [without_nulls(item, keep) for item in value] if isinstance(value, list | tuple) else value


def compact_json(value: Any) -> str:
    """JSON without whitespace, which would cost tokens; keys keep their order."""
    return _COMPACT.encode(value)


def type_name(value: Any) -> str:
    """What a JSON value is, as JSON names it, with its article."""
    return "null" if value is None else _TYPE_NAMES.get(type(value), "an object")
