"""What answers consist of, whatever the API: text, counts of tokens, and what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

from pytest_finetune.base.records import Usage

MOST_TOKENS = 10**12
"""Maximum plausible number of tokens."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(ValueError):  # noqa: N818 - a fault of an answer, not an error of ours
    """The response is not an answer of this API; the argument says why."""


def text_of(value: Any, name: str) -> str:
    """
    Text of an answer; empty for null. Lone surrogates become U+FFFD.

    Raises:
        Malformed: It is not text.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"a {name} that is not text")
    return value if value.isascii() else _LONE_SURROGATE.sub("\ufffd", value)


def usage_of(prompt: Any, completion: Any, *, cached: Any, reasoning: Any, answered: bool) -> Usage | None:
    """The token counts; None unless both prompt and answer were counted, because a guess would become a cost."""
    prompt, completion = count_of(prompt), count_of(completion)
    if not prompt or completion is None or (answered and not completion):
        # Every prompt and answer has tokens: a zero means that the server does not count.
        return None
    if not cached and not reasoning:
        return Usage(prompt, completion)
    return Usage(prompt, completion, min(count_of(cached) or 0, prompt), min(count_of(reasoning) or 0, completion))


def detail(usage: dict[str, Any], name: str, key: str) -> Any:
    """A count in one of the tables of details of a usage; None if there is none."""
    details = usage.get(name)
    return details.get(key) if isinstance(details, dict) else None


def count_of(value: Any) -> int | None:
    """A plausible count of tokens, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return None
    return int(value)
