"""
Reads a training file in chat format: conversations whose assistant messages are learned, and faults with their lines.

What the prompt template of the model cannot express is refused, because it would be learned wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.verdicts.evalset.messages import read_message
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects

if TYPE_CHECKING:
    from pytest_finetune.base.records import Message

_IGNORED = frozenset({"id", "metadata", "tags"})
_NO_TOOLS = "train on text messages only; the prompt template of the small model does not support tools"


@dataclass(frozen=True, slots=True)
class Turn:
    """
    One message of a conversation.

    Args:
        role: A role of the prompt template: `system`, `user`, `assistant`, …
        content: Its text.
        learned: Whether the loss includes it: true for an assistant message whose weight is not 0.
    """

    role: str
    content: str
    learned: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """One line of a training file."""

    line: int
    turns: tuple[Turn, ...]


def read_examples(data: bytes, name: str) -> tuple[tuple[Conversation, ...], Faults]:
    """Read the conversations of a training file; returns them and the faults of the other lines."""
    faults = Faults(name)
    read = ((number, _read(value, faults)) for number, value in read_objects(data, faults))
    return tuple(Conversation(number, turns) for number, turns in read if turns), faults


def _read(value: dict[str, Any], faults: Faults) -> tuple[Turn, ...]:
    before = len(faults.found)
    for key in value.keys() - _IGNORED - {"messages"}:
        faults.add(f"unknown key {key!r}", _NO_TOOLS if "tool" in key else 'write {"messages": […]}')
    messages = value.get("messages")
    if type(messages) is not list or not messages:
        faults.add("the line has no list of messages", 'write {"messages": [{"role": "user", "content": "…"}, …]}')
        return ()
    turns = tuple(_turn(message, f"messages[{index}]", faults) for index, message in enumerate(messages))
    if len(faults.found) > before:
        return ()
    if not any(turn.learned for turn in turns):
        faults.add("there is nothing to learn: no assistant message has weight 1", "end with the wanted answer")
        return ()
    if turns[-1].role != "assistant":
        faults.add(f"the last message is by the {turns[-1].role}", "end with the wanted answer of the assistant")
        return ()
    return turns


def _turn(value: object, where: str, faults: Faults) -> Turn:
    message = read_message(value, where, faults)
    if message is None:
        return Turn("", "", learned=False)
    if "tool_calls" in message.extra or message.role == "tool":
        faults.add(f"{where} uses tools", _NO_TOOLS)
    role = "system" if message.role == "developer" else message.role
    # `read_message` checks the weight and leaves it out.
    weight = value.get("weight") if isinstance(value, dict) else None
    learned = role == "assistant" and weight != 0
    text = _text(message, where, faults)
    if learned and not text:
        faults.add(f"{where} is an empty answer", "write the wanted answer, or give the message weight 0")
    return Turn(role, text, learned)


def _text(message: Message, where: str, faults: Faults) -> str:
    if type(message.content) is not list:
        return message.content or ""
    if any(part["type"] != "text" for part in message.content):
        faults.add(f"{where} has content that is not text", "the small model reads only text")
        return ""
    return "\n".join(part["text"] for part in message.content)
