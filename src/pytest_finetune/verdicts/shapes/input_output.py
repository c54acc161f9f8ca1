"""`input` with an answer in `output`, or in the column that an eval set has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.verdicts.shapes.row import (
    ChatRow,
    RowFault,
    Shape,
    assistant,
    messages_in,
    system_in,
    text_in,
    user,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Value

ANSWERS = ("output", "expected", "ideal", "target", "expected_output")
"""The columns for an answer; in all but the first a list means any of its items."""


def read(value: Value) -> ChatRow:
    """The chat of a row: an optional system prompt, the input as text or messages, and the answer."""
    given = [column for column in ANSWERS if value.get(column) is not None]
    if len(given) > 1:
        raise RowFault(f"two answers: {' and '.join(map(repr, given))}", "keep one of them")
    column = given[0] if given else next((each for each in ANSWERS if each in value), ANSWERS[0])
    prompt = messages_in(value, "input") if isinstance(value.get("input"), list) else [user(text_in(value, "input"))]
    system = system_in(value, "system_prompt", "system")
    if system and any(message.get("role") in ("system", "developer") for message in prompt):
        raise RowFault("two system prompts: one of them in input", "keep one of them")
    answer = value.get(column)
    choices = 1
    if column != ANSWERS[0] and isinstance(answer, list):
        choices = len(answer)
        answer = answer[0] if choices == 1 else answer
    is_value = answer is not None and not isinstance(answer, str)
    text = compact_json(answer) if is_value else text_in({column: answer} if given else value, column)
    return ChatRow(INPUT_OUTPUT.name, [*system, *prompt, assistant(text)], is_value=is_value, choices=choices)


INPUT_OUTPUT = Shape(
    "input-output", ("input", ANSWERS), frozenset({"system_prompt", "system", "input", *ANSWERS}), read
)
