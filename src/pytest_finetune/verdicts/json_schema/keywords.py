"""
The library's JSON Schema keywords, with replacements for those that an answer could hang or crash.

The number of checks is limited, patterns run under a time limit, `multipleOf` is exact, `uniqueItems` takes linear
time, and an error about a key has the path of that key, not of the object.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from pytest_finetune.verdicts.json_schema.formats import formats
from pytest_finetune.verdicts.json_schema.pattern import count_check, search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@lru_cache(maxsize=8)
def guarded(dialect: Any) -> Any:
    """The validator class of a dialect, with the guarded keywords and format checks."""
    keywords = {name: _counted(KEYWORDS.get(name, keyword)) for name, keyword in dialect.VALIDATORS.items()}
    return extend(dialect, keywords, format_checker=formats(dialect))  # type: ignore[no-untyped-call]


def _counted(keyword: Any) -> Any:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        count_check()
        return keyword(validator, value, instance, schema)

    return check


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _properties(validator: Any, properties: Mapping[str, Any], instance: Any, _: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for key, schema in properties.items():
        if key in instance and schema is False:
            # The library loses the path here.
            yield ValidationError(f"{key!r} is not allowed", path=(key,))
        elif key in instance:
            yield from validator.descend(instance[key], schema, path=key, schema_path=key)


def _required(validator: Any, required: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for key in required:
            if key not in instance:
                yield ValidationError(f"{key!r} is a required property", path=(key,))


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, schema in patterns.items():
        for key, value in instance.items():
            if search(pattern, key):
                yield from validator.descend(value, schema, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, schema: Any, instance: Any, parent: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for key in instance:
        if key in parent.get("properties", ()):
            continue
        if any(search(pattern, key) for pattern in parent.get("patternProperties", ())):
            continue
        if schema is False:
            yield ValidationError(f"{key!r} is not allowed", path=(key,))
        else:
            yield from validator.descend(instance[key], schema, path=key)


def _property_names(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for key in instance:
            for error in validator.descend(key, schema):
                yield ValidationError(f"the key {key!r} is not allowed: {error.message}", path=(key,))
                break


def _multiple_of(validator: Any, divisor: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    # By their decimal digits 0.07 is a multiple of 0.01; as doubles it is not.
    if validator.is_type(instance, "number") and Fraction(repr(instance)) % Fraction(repr(divisor)):
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def _unique_items(validator: Any, unique: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if unique and validator.is_type(instance, "array"):
        seen = set()
        for index, item in enumerate(instance):
            if (key := _hashable(item)) in seen:
                yield ValidationError("duplicate item", path=(index,))
                return
            seen.add(key)


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    # In Python True == 1, but not in JSON.
    return (bool, value) if isinstance(value, bool) else value


KEYWORDS = {
    "pattern": _pattern,
    "properties": _properties,
    "required": _required,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "multipleOf": _multiple_of,
    "uniqueItems": _unique_items,
}
