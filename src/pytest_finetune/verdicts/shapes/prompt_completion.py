"""`prompt` and `completion`, each text or messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.shapes.row import (
    ChatRow,
    Shape,
    answered,
    assistant,
    json_list_in,
    messages_in,
    system_in,
    text_in,
    user,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Message, Value


def read(value: Value) -> ChatRow:
    """The chat of a row."""
    messages = [*system_in(value, "system", "system_prompt"), *prompt_in(value), *answer_in(value, "completion")]
    return ChatRow(PROMPT_COMPLETION.name, messages, json_list_in(value, "tools") or None)


def prompt_in(value: Value) -> list[Message]:
    """The messages of a prompt, which may be text."""
    return messages_in(value, "prompt") if isinstance(value.get("prompt"), list) else [user(text_in(value, "prompt"))]


def answer_in(value: Value, column: str) -> list[Message]:
    """The messages of an answer, which may be text."""
    if isinstance(value.get(column), list):
        return answered(messages_in(value, column))
    return [assistant(text_in(value, column))]


PROMPT_COMPLETION = Shape(
    "prompt-completion",
    ("prompt", "completion"),
    frozenset({"prompt", "completion", "tools", "system", "system_prompt"}),
    read,
    # KTO: whether the completion is a good one.
    refuses=frozenset({"label"}),
)
