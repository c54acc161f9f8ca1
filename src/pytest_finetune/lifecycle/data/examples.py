"""The prompt and the answer of a row, in chat format or in the fields of an eval set; what is missing is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.tokens import compact_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

NOT_CONTENT = frozenset({"id", "tags", "metadata", "group"})
"""Keys that describe a row and are not shown to the model."""

_ANSWERS = ("output", "expected", "ideal", "target", "expected_output")
_SYSTEM = ("system", "developer")


def system_text(row: Mapping[str, Any]) -> str:
    """The system prompt."""
    if isinstance(row.get("messages"), list):
        return _texts(row["messages"], _SYSTEM)
    found = row.get("system_prompt", row.get("system"))
    return found if isinstance(found, str) else ""


def prompt_text(row: Mapping[str, Any]) -> str:
    """The prompt: all messages before the answer, without the system prompt."""
    if isinstance(row.get("messages"), list):
        return _texts(_without_answer(row["messages"]), None)
    given = row.get("input")
    return _texts(given, None) if isinstance(given, list) else given if isinstance(given, str) else ""


def answer_text(row: Mapping[str, Any]) -> str:
    """The answer: its text, or its tool calls as JSON."""
    if not isinstance(row.get("messages"), list):
        found = next((row[key] for key in _ANSWERS if key in row), "")
        return found if isinstance(found, str) else compact_json(found)
    last = row["messages"][-1] if row["messages"] else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return ""
    return text_of(last.get("content")) or (compact_json(last["tool_calls"]) if last.get("tool_calls") else "")


def answer_field(row: Mapping[str, Any], key: str) -> str | None:
    """One value of a JSON answer; None if the answer is not an object or lacks the key."""
    try:
        return field_text(parse_json(answer_text(row)), key)
    except JsonFault:
        return None


def field_text(value: Any, key: str) -> str | None:
    """One value of a JSON object as text; None if it is not an object or lacks the key."""
    if not isinstance(value, dict) or key not in value:
        return None
    found = value[key]
    return found if isinstance(found, str) else compact_json(found)


def text_of(content: Any) -> str:
    """The text of a message's content, with its parts joined."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _without_answer(messages: list[Any]) -> list[Any]:
    last = messages[-1] if messages else None
    return messages[:-1] if isinstance(last, dict) and last.get("role") == "assistant" else messages


def _texts(messages: Iterable[Any], roles: Collection[str] | None) -> str:
    """The text of the messages of some roles; None means all but system messages."""
    valid = (message for message in messages if isinstance(message, dict))
    if roles is None:
        chosen = (message for message in valid if message.get("role") not in _SYSTEM)
    else:
        chosen = (message for message in valid if message.get("role") in roles)
    return "\n".join(text_of(message.get("content")) for message in chosen)
