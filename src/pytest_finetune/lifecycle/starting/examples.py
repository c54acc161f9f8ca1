"""Three example cases for each kind of answer, to be replaced by the user's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.lifecycle.starting.kinds import AnswerKind

_TOOL = {
    "type": "function",
    "function": {
        "name": "track_parcel",
        "description": "Look up where a parcel is.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "string"}},
            "required": ["number"],
            "additionalProperties": False,
        },
    },
}
_TEXTS: Mapping[AnswerKind, tuple[str, tuple[tuple[str, str], ...]]] = {
    "label": (
        "Label the message with one word: billing, delivery or other.",
        (
            ("I was charged twice.", "billing"),
            ("Where is my parcel?", "delivery"),
            ("Thanks for the quick help!", "other"),
        ),
    ),
    "json": (
        'Return the order as JSON: {"item": text, "quantity": number}.',
        (
            ("Two blue mugs, please.", '{"item": "blue mug", "quantity": 2}'),
            ("I would like one teapot.", '{"item": "teapot", "quantity": 1}'),
            ("Send me a dozen spoons.", '{"item": "spoon", "quantity": 12}'),
        ),
    ),
    "sql": (
        "Answer with one SQL query over orders(id, customer, total).",
        (
            ("How many orders are there?", "SELECT COUNT(*) FROM orders"),
            ("Which customers have ordered?", "SELECT DISTINCT customer FROM orders"),
            ("What is the largest total?", "SELECT MAX(total) FROM orders"),
        ),
    ),
    "text": (
        "Answer with the capital's name alone.",
        (("Norway", "Oslo"), ("Peru", "Lima"), ("Kenya", "Nairobi")),
    ),
}
_PARCELS = ("4711", "0815", "1234")


def example_rows(kind: AnswerKind) -> list[dict[str, Any]]:
    """Chat rows of training data with answers of a kind."""
    if kind == "tool_call":
        return [_call_row(number) for number in _PARCELS]
    system, pairs = _TEXTS[kind]
    return [
        {
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
        }
        for question, answer in pairs
    ]


def _call_row(number: str) -> dict[str, Any]:
    call = {"name": "track_parcel", "arguments": json.dumps({"number": number})}
    answer = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
    }
    return {"messages": [{"role": "user", "content": f"Where is parcel {number}?"}, answer], "tools": [_TOOL]}
