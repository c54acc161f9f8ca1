"""The shape of a JSON value: its tree of keys and types. Answers with one shape are stable."""

from __future__ import annotations

import json
from typing import Any


def shape(value: Any) -> str:
    """
    The shape as compact JSON text, keys in the value's own order: `{"a":"string","b":["number"],"c":"null"}`.

    A leaf is its type name; an array is the sorted list of the distinct shapes of its elements.

    Raises:
        RecursionError: The value is nested too deeply.
    """
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quoted(key)}:{shape(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(sorted({shape(item) for item in value})) + "]"
    return f'"{schema_type(value)}"'


def schema_type(value: Any) -> str:
    """The JSON Schema name of a value's type, with `number` for every number."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if value is None:
        return "null"
    return "object" if isinstance(value, dict) else "array"


def _quoted(key: str) -> str:
    # A lone surrogate cannot be encoded as UTF-8, but its escape can.
    return json.dumps(key, ensure_ascii=not key.isprintable())
