"""What a row of training data asks and answers, whatever its shape; what a row has not is empty, never a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.tokens import compact_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

NOT_CONTENT = frozenset({"id", "tags", "metadata", "group"})
"""Keys that say something about a row, and are nothing that a model sees."""

_ANSWERS = ("output", "expected", "ideal", "target", "expected_output")
_SYSTEM = ("system", "developer")


def system_text(row: Mapping[str, Any]) -> str:
    """The system prompt."""
    if isinstance(row.get("messages"), list):
        return _said(row["messages"], _SYSTEM)
    found = row.get("system_prompt", row.get("system"))
    return found if isinstance(found, str) else ""


def asked_text(row: Mapping[str, Any]) -> str:
    """What is asked: everything said before the answer but the system prompt."""
    if isinstance(row.get("messages"), list):
        return _said(_without_answer(row["messages"]), None)
    asked = row.get("input")
    return _said(asked, None) if isinstance(asked, list) else asked if isinstance(asked, str) else ""


def answer_text(row: Mapping[str, Any]) -> str:
    """The answer that is learned or expected: its text, or its tool calls as JSON."""
    if not isinstance(row.get("messages"), list):
        found = next((row[key] for key in _ANSWERS if key in row), "")
        return found if isinstance(found, str) else compact_json(found)
    last = row["messages"][-1] if row["messages"] else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return ""
    return text_of(last.get("content")) or (compact_json(last["tool_calls"]) if last.get("tool_calls") else "")


def answer_field(row: Mapping[str, Any], key: str) -> str | None:
    """One value of an answer that is a JSON object; None where it is none, or has not that key."""
    try:
        return field_text(parse_json(answer_text(row)), key)
    except JsonFault:
        return None


def field_text(value: Any, key: str) -> str | None:
    """One value of a JSON object, as text; None where it is none, or has not that key."""
    if not isinstance(value, dict) or key not in value:
        return None
    found = value[key]
    return found if isinstance(found, str) else compact_json(found)


def text_of(content: Any) -> str:
    """The text of a message's content, its parts joined."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _without_answer(messages: list[Any]) -> list[Any]:
    last = messages[-1] if messages else None
    return messages[:-1] if isinstance(last, dict) and last.get("role") == "assistant" else messages


def _said(messages: Iterable[Any], roles: Collection[str] | None) -> str:
    """What messages of some roles say; of all but the system's where None is given."""
    spoken = (message for message in messages if isinstance(message, dict))
    if roles is None:
        chosen = (message for message in spoken if message.get("role") not in _SYSTEM)
    else:
        chosen = (message for message in spoken if message.get("role") in roles)
    return "\n".join(text_of(message.get("content")) for message in chosen)
