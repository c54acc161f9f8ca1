"""Single fields of JSON answers: which cases expect one, and whether an answer has it right."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_path import general_path, step, steps_of
from pytest_finetune.base.strict_json import JsonFault, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.base.records import Case, Score


def paths_of(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """
    Every path in a JSON value with the value there, outer ones first.

    Raises:
        RecursionError: It is nested too deeply.
    """
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_of(item, path + step(key))


def expected_fields(case: Case) -> frozenset[str]:
    """The paths that any expected value or call of a case has, with `[*]` in place of indices."""
    values = [expected if isinstance(expected, str) else None for expected in case.expected]
    found: set[str] = set()
    for text, expected in zip(values, case.expected, strict=True):
        found |= _fields_of_text(text) if text is not None else _fields(expected)
    for call in case.tool_calls:
        found |= {f"${step(call.name)}{path[1:]}" for path in _fields_of_text(call.arguments or "{}")}
    return frozenset(found)


def expects_field(case: Case, field: str) -> bool:
    """Whether any expected value of a case has a field, given by its normal path."""
    return general_path(field, calls=bool(case.tool_calls)) in expected_fields(case)


def field_is_right(score: Score, field: str) -> bool:
    """
    Whether nothing at a field, in it or around it differs from what is expected.

    An answer without a valid value has no field right, and neither has one whose score does not say which are wrong.
    """
    if score.fields is None or score.format_failure is not None:
        return False
    if score.wrong is None:
        return score.fields[0] == score.fields[1]
    steps = steps_of(field)
    return not any(_meet(steps, steps_of(path)) for path in score.wrong)


def is_unknown(score: Score) -> bool:
    """Whether a score, as earlier versions recorded them, says how many fields are wrong but not which."""
    some_wrong = score.fields is not None and 0 < score.fields[0] < score.fields[1]
    return some_wrong and score.wrong is None and score.format_failure is None


def leaf_fields(case: Case) -> frozenset[str]:
    """The expected fields of a case that have no fields of their own."""
    found = expected_fields(case)
    parents = {"$" + "".join(steps_of(path)[:-1]) for path in found if path != "$"}
    return found - parents


def _meet(field: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether one path leads to the other, or to something in it."""
    return all(_same_step(*pair) for pair in zip(field, path, strict=False))


def _same_step(wanted: str, found: str) -> bool:
    return wanted == found or (wanted == "[*]" and found[1:-1].isdigit()) or wanted == general_path(found, calls=True)


@lru_cache(maxsize=4096)
def _fields_of_text(text: str) -> frozenset[str]:
    try:
        return _fields(parse_json(text))
    except JsonFault:
        return frozenset()


def _fields(value: Any) -> frozenset[str]:
    try:
        return frozenset(general_path(path) for path, _ in paths_of(value))
    except RecursionError:
        return frozenset()
