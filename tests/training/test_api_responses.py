"""Responses of a fine-tuning API that are not what they should be, and lists in either order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.lifecycle.training.api_errors import NoAnswerError
from pytest_finetune.lifecycle.training.api_responses import newest_first, parse_response, read_identified, read_page

if TYPE_CHECKING:
    from collections.abc import Callable


KEY = "sk-0123456789abcdef"


@dataclass
class At:
    created_at: int | None


@pytest.mark.parametrize(
    ("text", "read", "problem"),
    [
        ("<html>", read_identified, "the response is not JSON"),
        ("[" * 100_000, read_page, "the response is not JSON"),
        ("[]", read_identified, "an object without an id"),
        ('{"id": 3}', read_identified, "an object without an id"),
        ("{}", read_page, "not a list of objects"),
        ('{"data": {}}', read_page, "not a list of objects"),
        ('{"data": [{}, 1]}', read_page, "not a list of objects"),
        ("null", read_page, "not a list of objects"),
    ],
)
def test_an_unexpected_response_is_an_error_that_asks_for_the_address(
    text: str, read: Callable[[object], Any], problem: str
) -> None:
    with pytest.raises(NoAnswerError, match=problem) as refusal:
        parse_response("GET /files", text, read, "sk-secret")
    assert "is this the base URL" in str(refusal.value)


def test_a_key_that_a_server_returns_is_masked() -> None:
    text = f'{{"id": "file of {KEY}"}}'
    assert KEY not in parse_response("POST /files", text, read_identified, KEY)["id"]


@pytest.mark.parametrize(
    "times", [[3, 2, 1], [1, 2, 3], [3, 3, 2, 1], [1, 1, 2, 3], [2], [], [None, 3, 2], [2, 2, 2], [None, None]]
)
def test_lists_are_newest_first_whatever_the_server_s_order(times: list[int | None]) -> None:
    found = [one.created_at for one in newest_first(At(time) for time in times)]
    known = [time for time in found if time is not None]
    assert known == sorted(known, reverse=True)
    assert sorted(found, key=str) == sorted(times, key=str)
