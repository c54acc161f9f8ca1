"""Selects the fault to report from the errors of a JSON Schema validation: the first by path, always the same one."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_path import json_path
from pytest_finetune.base.json_shape import schema_type
from pytest_finetune.base.records import FormatFailure
from pytest_finetune.base.text import shorten, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jsonschema.exceptions import ValidationError

_KEYWORDS = {
    FormatFailure.MISSING_KEY: ("required", "dependentRequired", "dependencies"),
    FormatFailure.EXTRA_KEY: ("properties", "additionalProperties", "unevaluatedProperties", "propertyNames"),
    FormatFailure.WRONG_TYPE: ("type",),
    FormatFailure.NOT_IN_ENUM: ("enum", "const"),
    FormatFailure.OUT_OF_RANGE: (
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("minItems", "maxItems", "items", "additionalItems", "unevaluatedItems", "contains", "minContains"),
        *("maxContains", "minProperties", "maxProperties"),
    ),
    FormatFailure.PATTERN: ("pattern", "format"),
}
KINDS = {keyword: kind for kind, keywords in _KEYWORDS.items() for keyword in keywords}
"""Keyword that an answer violates -> kind of format failure; any other keyword is `OTHER`."""


def fault_of(errors: Iterable[ValidationError]) -> FormatFault:
    """The fault at the first path; for a failed `anyOf` or `oneOf`, that of the nearest alternative."""
    error = _leaf(min(errors, key=_place))
    path = json_path(error.absolute_path)
    if error.context:
        return FormatFault(_kind_of_alternatives(error), f"fits no alternative: {shown(error.instance)}", path)
    return FormatFault(_kind(error), _problem(error), path)


def _leaf(error: ValidationError) -> ValidationError:
    """Follow `anyOf` and `oneOf` to the error of the nearest alternative, if one is nearer than all others."""
    while error.context:
        branches = [
            list(errors) for _, errors in groupby(sorted(error.context, key=_branch_number), key=_branch_number)
        ]
        distances = [_distance(branch) for branch in branches]
        nearest = min(distances)
        if nearest[0] or distances.count(nearest) > 1:
            return error
        error = min(branches[distances.index(nearest)], key=_place)
    return error


def _branch_number(error: ValidationError) -> int:
    # The error of the alternative `false` has no path; all such alternatives count as one.
    return int(error.relative_schema_path[0]) if error.relative_schema_path else -1


def _distance(errors: list[ValidationError]) -> tuple[bool, int, int]:
    """Distance of an alternative: first by type, then by wrong constants, which name a variant, then by errors."""
    constants = sum(error.validator in ("const", "enum") for error in errors)
    return _has_another_type(errors), constants, len(errors)


def _has_another_type(errors: list[ValidationError]) -> bool:
    return any(not error.relative_path and error.validator in ("type", "const", "enum") for error in errors)


def _kind_of_alternatives(error: ValidationError) -> FormatFailure:
    kinds = {_kind(each) for each in error.context or ()}
    if kinds == {FormatFailure.WRONG_TYPE}:
        return FormatFailure.WRONG_TYPE
    return FormatFailure.NOT_IN_ENUM if FormatFailure.NOT_IN_ENUM in kinds else FormatFailure.OTHER


def _place(error: ValidationError) -> tuple[list[tuple[bool, int, str]], str]:
    steps = [(True, 0, part) if isinstance(part, str) else (False, part, "") for part in error.absolute_path]
    return steps, str(error.validator)


def _kind(error: ValidationError) -> FormatFailure:
    return KINDS.get(str(error.validator), FormatFailure.OTHER)


def _problem(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "required":
        return "missing key"
    if error.validator in ("additionalProperties", "properties"):
        return "extra key"
    if error.validator == "type":
        types = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return f"expected {types}, got {schema_type(error.instance)} {shown(error.instance)}"
    if error.validator == "enum":
        return f"{shown(error.instance)} is not one of {shown(wanted)}"
    return shorten(error.message, 160)
