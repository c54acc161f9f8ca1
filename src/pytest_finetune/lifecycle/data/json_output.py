"""Writes JSON answers in one form, because a model learns the formatting as well as the content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json

if TYPE_CHECKING:
    from pytest_finetune.base.json_text import Json

MAX_KEYS = 1000
"""Keys whose order is remembered per path; an object with more is a map of names, and further keys are sorted."""

MAX_PATHS = 10_000
"""Paths whose key order is remembered; keys at further paths are sorted."""


class CanonicalJson:
    """
    Writes JSON values without whitespace and with one key order per path.

    The order is that of the schema, then of first occurrence; it is not alphabetical, because it can have a meaning,
    such as a reason before its verdict. Items of a list share a path.

    Args:
        schema: A JSON Schema whose `properties` set the order of keys.
    """

    def __init__(self, schema: object = None) -> None:
        self._order: dict[tuple[str, ...], dict[str, int]] = {}
        if schema is not None:
            self._learn(schema, ())

    def write(self, value: Json) -> str:
        """The value as JSON text."""
        return compact_json(self._ordered(value, ()))

    def _ordered(self, value: Json, path: tuple[str, ...]) -> Json:
        if isinstance(value, list):
            return [self._ordered(item, (*path, "[]")) for item in value]
        if not isinstance(value, dict):
            return value
        places = self._places(path, value)
        ordered = sorted(value, key=lambda key: (places.get(key, MAX_KEYS), key))
        return {key: self._ordered(value[key], (*path, key)) for key in ordered}

    def _places(self, path: tuple[str, ...], value: dict[str, Any]) -> dict[str, int]:
        if path not in self._order and len(self._order) >= MAX_PATHS:
            return {}
        places = self._order.setdefault(path, {})
        for key in value:
            if key not in places and len(places) < MAX_KEYS:
                places[key] = len(places)
        return places

    def _learn(self, schema: object, path: tuple[str, ...]) -> None:
        if not isinstance(schema, dict):
            return
        if isinstance(properties := schema.get("properties"), dict):
            places = self._order.setdefault(path, {})
            for key, inner in properties.items():
                places.setdefault(key, len(places))
                self._learn(inner, (*path, key))
        self._learn(schema.get("items"), (*path, "[]"))
        for choices in ("anyOf", "oneOf", "allOf"):
            inner = schema.get(choices)
            for choice in inner if isinstance(inner, list) else ():
                self._learn(choice, path)
