"""Strict JSON (RFC 8259): one value, nothing around it, no NaN, no duplicate keys, no number beyond a double."""

from __future__ import annotations

import json
from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_finetune.base.records import FormatFailure

if TYPE_CHECKING:
    from collections.abc import Callable


class JsonFault(ValueError):  # noqa: N818 - a fault in a text, not an error of ours
    """
    A text is not strict JSON.

    Args:
        kind: `NOT_JSON`, `DUPLICATE_KEY` or `NOT_FINITE`.
        problem: One clause for people.
        position: 0-based index in the text; None if unknown.
    """

    def __init__(self, kind: FormatFailure, problem: str, position: int | None = None) -> None:
        super().__init__(kind, problem, position)
        self.kind, self.problem, self.position = kind, problem, position

    def __str__(self) -> str:
        return self.problem


def parse_json(text: str, keep: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """
    The value of a JSON text.

    Args:
        text: The text.
        keep: What is kept of each object, from the innermost to the outermost; None keeps all objects as they are.

    Raises:
        JsonFault: The text is not one strict JSON value, is nested too deeply, or has a number with more digits than
            Python reads.
    """
    try:
        return (_DECODER if keep is None else _decoder(lambda pairs: keep(_object(pairs)))).decode(text)
    except json.JSONDecodeError as error:
        raise JsonFault(
            FormatFailure.NOT_JSON, f"{error.msg.removesuffix(' at')} at character {error.pos}", error.pos
        ) from None
    except RecursionError:
        raise JsonFault(FormatFailure.NOT_JSON, "nested too deeply") from None
    except JsonFault:
        raise
    except ValueError:
        # int() refuses more than sys.get_int_max_str_digits() digits.
        raise JsonFault(FormatFailure.NOT_FINITE, "a number has too many digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise JsonFault(FormatFailure.DUPLICATE_KEY, f"key {repeated!r} is repeated in one object")
    return value


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise JsonFault(FormatFailure.NOT_FINITE, f"the number {digits} is beyond a double")
    return number


def _constant(name: str) -> NoReturn:
    raise JsonFault(FormatFailure.NOT_FINITE, f"{name} is not JSON")


def _decoder(read_object: Callable[[list[tuple[str, Any]]], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=read_object, parse_float=_float, parse_constant=_constant)


_DECODER = _decoder(_object)
