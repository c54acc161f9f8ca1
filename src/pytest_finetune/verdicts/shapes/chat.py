"""OpenAI's chat format: `messages`, with `tools`, or with the functions that tools have replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.verdicts.shapes.row import (
    NO_CALL,
    ChatRow,
    RowFault,
    Shape,
    answered,
    messages_in,
    tool_call,
    tools_without_padding,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Message, Value


_OPEN = "end with the answer; rows for reinforcement fine-tuning have none: --shape reinforcement"


def read(value: Value) -> ChatRow:
    """The chat of a row; calls of functions become tool calls."""
    messages, tools = modern(value)
    return ChatRow(CHAT.name, answered(messages, hint=_OPEN), tools, value.get("parallel_tool_calls"))


def modern(value: Value) -> tuple[list[Message], list[Any] | None]:
    """The messages and tools of a row, whether or not it ends with an answer; functions become tools."""
    messages, tools, functions = (
        messages_in(value, "messages"),
        tools_without_padding(value.get("tools")),
        value.get("functions"),
    )
    if functions is not None:
        if tools is not None:
            raise RowFault("both tools and functions", "keep tools, which replaced functions")
        known = type(functions) is list
        functions = tools_without_padding(functions)
        tools = [{"type": "function", "function": each} for each in functions] or None if known else functions
    if any(map(is_legacy, messages)):
        messages = _with_tool_calls(messages)
    return messages, tools


def is_legacy(message: Message) -> bool:
    """Whether a message calls a function, or answers such a call, in the way that tools have replaced."""
    return message.get("function_call") is not None or message.get("role") == "function"


def _with_tool_calls(messages: list[Message]) -> list[Message]:
    """A function's answer belongs to the last call of that name, because functions have no call ids."""
    converted: list[Message] = []
    ids: dict[Any, str] = {}
    for message in messages:
        called, role = message.get("function_call"), message.get("role")
        kept = {key: item for key, item in message.items() if key != "function_call"}
        if role == "assistant" and type(called) is dict:
            call = tool_call(len(converted), called.get("name", ""), called.get("arguments"))
            ids[called.get("name") if type(called.get("name")) is str else None] = call["id"]
            converted.append(kept | {"tool_calls": [call]})
        elif role == "function":
            name = kept.pop("name", None)
            known = ids.get(name) if type(name) is str else None
            converted.append(kept | {"role": "tool", "tool_call_id": known or f"{NO_CALL} of {name}"})
        else:
            converted.append(message)
    return converted


CHAT = Shape("chat", ("messages",), frozenset({"messages", "tools", "functions", "parallel_tool_calls"}), read)
