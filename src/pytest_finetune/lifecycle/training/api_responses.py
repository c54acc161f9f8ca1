"""Responses of the fine-tuning API: JSON of the expected form, in the expected order, or an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_finetune.base.secret_masking import masked
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError
from pytest_finetune.lifecycle.training.job import UnexpectedShape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_finetune.lifecycle.training.job import FineTuningEvent, FineTuningJob

T = TypeVar("T")
Dated = TypeVar("Dated", "FineTuningJob", "FineTuningEvent")


def parse_response(where: str, text: str, read: Callable[[object], T], secret: str) -> T:
    """
    Parse a response. The client accepts any body, so one that is not JSON is found here.

    Raises:
        NoAnswerError: It is not of the expected form.
    """
    try:
        value = json.loads(masked(text, secret))
    except (ValueError, RecursionError):
        hint = "is this the base URL of an OpenAI-compatible API?"
        raise NoAnswerError("the response is not JSON", where, hint) from None
    return shaped(where, value, read)


def shaped(where: str, value: object, read: Callable[[object], T]) -> T:
    """A part of a response, read; raises NoAnswerError as `read_response` does."""
    try:
        return read(value)
    except UnexpectedShape as fault:
        hint = "is this the base URL of an OpenAI-compatible API with fine-tuning?"
        raise NoAnswerError(f"unexpected response: {fault}", where, hint) from None


def read_identified(value: object) -> dict[str, Any]:
    """An object with an id."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise UnexpectedShape("an object without an id")
    return value


def read_page(value: object) -> dict[str, Any]:
    """A list of objects."""
    if isinstance(value, dict):
        rows = value.get("data")
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return value
    raise UnexpectedShape("not a list of objects")


def newest_first(found: Iterator[Dated]) -> Iterator[Dated]:
    """The objects, newest first, even if the server sends them oldest first: the first two different times decide."""
    head: list[Dated] = []
    for one in found:
        head.append(one)
        if one.created_at and head[0].created_at and one.created_at != head[0].created_at:
            if one.created_at > head[0].created_at:
                head.extend(found)
                head.reverse()
            break
    yield from head
    yield from found
