"""Settings as TOML; the standard library only reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DELETE = "\x7f"


def settings_toml(settings: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a settings file: plain values first, then one table for each mapping."""
    tables = {key: value for key, value in settings.items() if isinstance(value, list) and _has_tables(value)}
    for key, value in settings.items():
        if not isinstance(value, dict) and key not in tables:
            yield f"{key} = {_value(value)}"
    for key, listed in tables.items():
        for table in listed:
            yield from ("", f"[[{key}]]", *(f"{_key(name)} = {_value(item)}" for name, item in table.items()))
    for key, value in settings.items():
        if isinstance(value, dict):
            yield ""
            yield f"[{key}]"
            yield from (f"{_key(name)} = {_value(item)}" for name, item in value.items())


def _has_tables(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(each, dict) for each in value)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # JSON's strings are basic strings of TOML, but for the one control character that JSON does not escape.
    return compact_json(value).replace(_DELETE, "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)
