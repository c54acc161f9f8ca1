"""Comparing JSON values by RFC 8259: numbers by value, `1` is not `true`, key order is nothing, list order is all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_path import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Absent(Enum):
    """The value of a key or an item that one side has not."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values that should be equal; either may be `ABSENT`, where only the other side has the path."""

    path: str
    expected: Any
    got: Any


def same_leaf(expected: Any, got: Any) -> bool:
    """Whether two values are one and the same string, number, literal, or empty container."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    return bool(expected == got)


def leaves(value: Any) -> int:
    """How many strings, numbers, literals and empty containers a value holds; itself, if it is one."""
    if not value or not isinstance(value, dict | list):
        return 1
    items = value.values() if isinstance(value, dict) else value
    return sum(map(leaves, items))


def differences(
    expected: Any, got: Any, same: Callable[[Any, Any], bool] = same_leaf, path: str = "$"
) -> Iterator[Difference]:
    """
    Where two JSON values differ, in the order of the expected one, what the answer adds last.

    An empty container is a leaf, so whatever stands in its place is one difference.

    Raises:
        RecursionError: A value is nested too deeply.
    """
    if expected and isinstance(expected, dict) and isinstance(got, dict):
        for key in (*expected, *(key for key in got if key not in expected)):
            yield from differences(expected.get(key, ABSENT), got.get(key, ABSENT), same, path + step(key))
    elif expected and isinstance(expected, list) and isinstance(got, list):
        for index in range(max(len(expected), len(got))):
            yield from differences(_item(expected, index), _item(got, index), same, path + step(index))
    elif expected is ABSENT or got is ABSENT or not same(expected, got):
        yield Difference(path, expected, got)


def field_counts(expected: Any, found: list[Difference]) -> tuple[int, int]:
    """
    Right leaves and all leaves of an expected value, given how the answer differs from it.

    What the answer adds counts as wrong leaves of its own, so adding is no way to a better share.
    """
    wrong = sum(leaves(difference.expected) for difference in found if difference.expected is not ABSENT)
    extra = sum(leaves(difference.got) for difference in found if difference.expected is ABSENT)
    return leaves(expected) - wrong, leaves(expected) + extra


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else ABSENT
