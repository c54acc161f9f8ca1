"""A row of any shape as a chat, and what the readers of shapes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_finetune.base.json_text import type_name, without_nulls
from pytest_finetune.base.records import NOTHING
from pytest_finetune.base.strict_json import JsonFault, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Message = dict[str, Any]
    Value = Mapping[str, Any]

T = TypeVar("T")

DESCRIBING = frozenset({"id", "tags", "metadata", "group", "accept"})
"""Columns that describe a row and are not shown to the model; every shape may have them."""


class RowFault(ValueError):  # noqa: N818 - a fault in a file, not an error of ours
    """
    A row cannot be read.

    Args:
        problem: What is wrong, in one clause.
        hint: What to do about it; may be empty.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.problem, self.hint = problem, hint


@dataclass(frozen=True, slots=True)
class ChatRow:
    """
    A row of any shape as a chat.

    Args:
        shape: Name of its shape.
        messages: The prompt and the answer, which is the last message, from the assistant. Rows for reinforcement
            fine-tuning have only the prompt.
        tools: The tools; None without.
        parallel_tool_calls: As in the row; None if it does not say.
        rejected: The answer that is not preferred; empty in all but preference data.
        reference: What the grader reads; empty in all but rows for reinforcement fine-tuning.
        is_value: Whether the answer was a JSON value, not text, in the row.
        choices: Number of acceptable answers; their JSON list is the answer if there are several.
        media: Columns of pictures, sound or video next to the texts, which the shape does not read. Rows that differ
            only there are different questions.
    """

    shape: str
    messages: list[Message]
    tools: list[Any] | None = None
    parallel_tool_calls: bool | None = None
    rejected: list[Message] = field(default_factory=list)
    reference: Value = field(default_factory=lambda: NOTHING)
    is_value: bool = False
    choices: int = 1
    media: Value = field(default_factory=lambda: NOTHING)

    @property
    def prompt(self) -> list[Message]:
        """The messages before the answer."""
        return self.messages if self.reference else self.messages[:-1]

    @property
    def answer(self) -> Message:
        """The last message; empty for reinforcement fine-tuning."""
        return {} if self.reference else self.messages[-1]


@dataclass(frozen=True, slots=True)
class Shape:
    """
    A shape of rows.

    Args:
        name: Name in `--shape`.
        needs: The columns that it is recognized by; of a tuple any.
        uses: All columns that are read.
        read: Reads a row; raises `RowFault` if it cannot be read.
        refuses: Columns that change the meaning of the row and are not read, besides those of other shapes.
    """

    name: str
    needs: tuple[str | tuple[str, ...], ...]
    uses: frozenset[str]
    read: Callable[[Value], ChatRow]
    refuses: frozenset[str] = frozenset()

    def fits(self, columns: set[str]) -> bool:
        """Whether a row with these columns may have this shape."""
        return all(bool(columns & {*each} if isinstance(each, tuple) else each in columns) for each in self.needs)


NO_CALL = "no call"
"""Start of the `tool_call_id` of an answer whose call is not in the row."""


def user(text: str) -> Message:
    """A message of the user."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """An answer."""
    return {"role": "assistant", "content": text}


def text_in(value: Value, column: str) -> str:
    """The text of a column, which must not be blank."""
    if column not in value:
        found = ", ".join(map(repr, value)) or "none"
        raise RowFault(f"no column {column!r}: the record has {found}")
    text = value[column]
    if text is None or (isinstance(text, str) and not text.strip()):
        raise RowFault(f"{column} is {'null' if text is None else 'empty'}")
    if not isinstance(text, str):
        raise RowFault(f"{column} is {type_name(text)}, not text")
    return text


def system_in(value: Value, *columns: str) -> list[Message]:
    """The system message, if one of the columns has a text."""
    given = [column for column in columns if value.get(column) not in (None, "")]
    if len(given) > 1:
        raise RowFault(f"two system prompts: {' and '.join(map(repr, given))}")
    return [{"role": "system", "content": text_in(value, column)} for column in given]


def messages_in(value: Value, column: str) -> list[Message]:
    """The messages of a column: at least one, each an object; keys that are null are left out."""
    messages = value.get(column)
    if messages == []:
        raise RowFault(f"{column} is an empty list")
    if not (isinstance(messages, list) and all(isinstance(each, dict) for each in messages)):
        raise RowFault(f"{column} is {type_name(messages)}, not a list of messages")
    return without_padding(messages)


def without_padding(messages: list[Any]) -> list[Any]:
    """
    Messages without the keys that are null, which tables write for columns that a message does not have.

    A content that is null stays: it shows that a message has nothing but calls.
    """
    return [without_nulls(each, keep=("content",)) if _may_have_nulls(each) else each for each in messages]


def tools_without_padding(tools: T) -> T:
    """Tools without the keys that are null, except where null is a value in JSON Schema."""
    cleaned: T = without_nulls(tools, keep=("default", "const"))
    return cleaned


def _may_have_nulls(message: object) -> bool:
    return type(message) is dict and any(
        item is None or (type(item) is list and key in ("content", "tool_calls")) for key, item in message.items()
    )


def answered(messages: list[Message], *, hint: str = "end with the answer, or remove the row") -> list[Message]:
    """The messages, which must end with an answer that is not empty."""
    last = messages[-1]
    if last.get("role") != "assistant":
        raise RowFault(f"no answer: the last message is of role {last.get('role')!r}", hint)
    content = last.get("content")
    text = content.strip() if isinstance(content, str) else content
    if not text and not any(last.get(key) for key in ("tool_calls", "function_call", "refusal")):
        raise RowFault("no answer: the last message is empty", "write the answer, or remove the row")
    return messages


def json_list_in(value: Value, column: str) -> list[Any]:
    """The list of a column, which may be written as JSON text; empty if there is none."""
    listed = value.get(column)
    if isinstance(listed, str) and listed.strip():
        try:
            listed = parse_json(listed)
        except JsonFault as fault:
            raise RowFault(f"{column} is not strict JSON: {fault.problem}") from None
    if listed in (None, "") or (isinstance(listed, str) and not listed.strip()):
        return []
    if not isinstance(listed, list):
        raise RowFault(f"{column} is {type_name(listed)}, not a list")
    return tools_without_padding(listed) if column == "tools" else listed


def tool_call(number: int, name: str, arguments: object) -> dict[str, Any]:
    """A call of a function; `number` makes its id."""
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
