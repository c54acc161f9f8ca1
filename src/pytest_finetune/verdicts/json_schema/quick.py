"""
A quick yes for valid answers, by jsonschema-rs where it is installed.

The reference stays jsonschema with our guarded keywords: it explains every fault. It decides alone where a schema has a
word that the two may read otherwise, or that could take long: patterns, formats, `multipleOf`, `uniqueItems`,
references that go round, and whatever is not in the lists below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIALECTS = {"Draft202012Validator", "Draft201909Validator", "Draft7Validator"}

_IGNORED = frozenset(
    ("$comment", "$schema", "default", "deprecated", "description", "examples", "readOnly", "title", "writeOnly")
)
_VALUES = frozenset(("required", "type"))
_EXPECTED = frozenset(("const", "enum"))
_NUMBERS = frozenset(
    (
        *("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"),
        *("maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"),
    )
)
_SCHEMAS = frozenset(("additionalProperties", "else", "if", "items", "not", "then"))
_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_DEFINITIONS = frozenset(("$defs", "definitions"))
_WORDS = _IGNORED | _VALUES | _SCHEMAS | _LISTS | _DEFINITIONS | {"$ref", "properties"}

_LARGEST = 2**53 - 1
"""Whole numbers up to here are exact as doubles."""

_MOST = 2000
"""Schemas of a document after its references have been followed, each as often as it is referred to."""


def quick_check(contents: Any, dialect: str) -> Callable[[Any], bool] | None:
    """
    A function that is true only for values which the reference accepts too; None where there is none.

    Args:
        contents: A schema that the reference has compiled.
        dialect: Name of the reference's validator class.

    Source of what both do alike: the property tests in tests/scoring/test_quick_validation.py.
    """
    if dialect not in _DIALECTS or not _is_plain(contents):
        return None
    try:
        import jsonschema_rs
    except ImportError:
        return None
    try:
        is_valid = getattr(jsonschema_rs, dialect)(contents).is_valid
    except (ValueError, TypeError):
        return None

    def check(value: Any) -> bool:
        try:
            return is_valid(value) is True
        except (ValueError, TypeError, OverflowError, RecursionError):
            # Such as a text with half a surrogate pair, which it cannot take.
            return False

    return check


def _is_plain(contents: Any) -> bool:
    left = _MOST
    waiting: list[tuple[Any, tuple[str, ...]]] = [(contents, ())]
    while waiting:
        schema, followed = waiting.pop()
        left -= 1
        if left < 0:
            return False
        if isinstance(schema, bool):
            continue
        if not isinstance(schema, dict) or not all(_is_known(word, value) for word, value in schema.items()):
            return False
        if (reference := schema.get("$ref")) is not None:
            target = _target(contents, reference)
            # Some dialects ignore what stands next to a reference.
            if target is None or reference in followed or schema.keys() - _IGNORED - _DEFINITIONS - {"$ref"}:
                return False
            waiting.append((target, (*followed, reference)))
        waiting += [(child, followed) for child in _children(schema)]
    return True


def _is_known(word: str, value: Any) -> bool:
    if word in _NUMBERS:
        return isinstance(value, int | float) and _is_exact(value)
    if word in _EXPECTED:
        return _is_exact(value)
    if word == "items":
        return isinstance(value, dict | bool)
    return word in _WORDS


def _is_exact(value: Any) -> bool:
    """Whether every number in a value is one that all languages read alike."""
    if isinstance(value, dict | list):
        return all(map(_is_exact, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) <= _LARGEST


def _children(schema: dict[str, Any]) -> Iterator[Any]:
    # Definitions count where they are referred to.
    for word, value in schema.items():
        if word in _SCHEMAS:
            yield value
        elif word in _LISTS:
            yield from value
        elif word == "properties":
            yield from value.values()


def _target(contents: Any, reference: Any) -> Any:
    """The definition that a reference names; None for any other reference."""
    if not isinstance(reference, str) or not isinstance(contents, dict):
        return None
    root, _, name = reference.rpartition("/")
    if root not in ("#/$defs", "#/definitions") or "~" in name or "%" in name:
        return None
    return contents.get(root[2:], {}).get(name)
