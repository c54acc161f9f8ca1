"""Comparison of JSON values: numbers by value, `1` is not `true`, key order is ignored, list order is not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_finetune.base.json_path import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Judge: TypeAlias = "Callable[[str, Any, Any], bool | None]"
"""Given a path and the values of both sides, whether they are equal as a whole; None to compare what is in them."""


class Absent(Enum):
    """The value of a key or an item that only the other side has."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values that should be equal; one of them is `ABSENT` if only the other side has the path."""

    path: str
    expected: Any
    got: Any


def same_leaf(expected: Any, got: Any) -> bool:
    """Whether two leaves (strings, numbers, literals, empty containers) are equal."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    return bool(expected == got)


def leaves(value: Any) -> int:
    """Number of leaves (strings, numbers, literals, empty containers) of a value; 1 if it is a leaf itself."""
    if not value or not isinstance(value, dict | list):
        return 1
    items = value.values() if isinstance(value, dict) else value
    return sum(map(leaves, items))


def differences(
    expected: Any,
    got: Any,
    same: Callable[[Any, Any], bool] = same_leaf,
    path: str = "$",
    judge: Judge | None = None,
) -> Iterator[Difference]:
    """
    The differences of two JSON values, in the order of the expected one; what the answer adds comes last.

    An empty container is a leaf, so any other value in its place is one difference.

    Args:
        expected: A value; `ABSENT` if only the other side has the path.
        got: As `expected`.
        same: Whether two leaves are equal.
        path: Where the two are.
        judge: Decides at some paths; without it, all leaves are compared by `same`.

    Raises:
        RecursionError: A value is nested too deeply.
    """
    if judge is not None and (equal := judge(path, expected, got)) is not None:
        if not equal:
            yield Difference(path, expected, got)
    elif expected and isinstance(expected, dict) and isinstance(got, dict):
        for key in (*expected, *(key for key in got if key not in expected)):
            yield from differences(expected.get(key, ABSENT), got.get(key, ABSENT), same, path + step(key), judge)
    elif expected and isinstance(expected, list) and isinstance(got, list):
        for index in range(max(len(expected), len(got))):
            yield from differences(_item(expected, index), _item(got, index), same, path + step(index), judge)
    elif expected is ABSENT or got is ABSENT or not same(expected, got):
        yield Difference(path, expected, got)


def field_counts(expected: Any, found: list[Difference]) -> tuple[int, int]:
    """
    Number of right leaves and of all leaves of an expected value, given the differences of the answer.

    What the answer adds counts as additional wrong leaves, so that adding fields never improves the share.
    """
    wrong = sum(leaves(difference.expected) for difference in found if difference.expected is not ABSENT)
    extra = sum(leaves(difference.got) for difference in found if difference.expected is ABSENT)
    return leaves(expected) - wrong, leaves(expected) + extra


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else ABSENT
