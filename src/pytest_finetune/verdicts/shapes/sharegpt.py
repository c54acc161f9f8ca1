"""ShareGPT: `conversations` of turns with `from` and `value`, with the tools of LLaMA-Factory or of Hermes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json, type_name
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.verdicts.shapes.row import (
    NO_CALL,
    ChatRow,
    RowFault,
    Shape,
    answered,
    json_list_in,
    messages_in,
    system_in,
    tool_call,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Message, Value

_CALL, _TOOL = "call", "tool"
_SPEAKERS = {
    **dict.fromkeys(("system",), "system"),
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), _CALL),
    **dict.fromkeys(("observation", "tool", "function_response", "tool_response", "function"), _TOOL),
}
_TURN = frozenset({"from", "value", "role", "content", "weight"})
_CALL_TAG = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_ANSWER_TAG = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", re.DOTALL)


def read(value: Value) -> ChatRow:
    """The chat of a row; calls and their answers are paired in order."""
    tools = [each if _is_wrapped(each) else _wrapped(each) for each in json_list_in(value, "tools")]
    turns = _Turns(has_tools=bool(tools))
    for index, turn in enumerate(messages_in(value, "conversations")):
        turns.add(turn, f"conversations[{index}]")
    messages = [*system_in(value, "system"), *turns.messages]
    if sum(message["role"] == "system" for message in messages[:2]) > 1:
        raise RowFault("two system prompts: in 'system' and in conversations")
    return ChatRow(SHAREGPT.name, answered(messages), tools or None)


class _Turns:
    """The messages of a conversation, and the calls that are not answered yet."""

    def __init__(self, *, has_tools: bool) -> None:
        self.messages: list[Message] = []
        self._has_tools = has_tools
        self._calls, self._open = 0, list[str]()

    def add(self, turn: Message, where: str) -> None:
        speaker, text = _read_turn(turn, where)
        weight = {"weight": turn["weight"]} if turn.get("weight") is not None else {}
        if speaker == _TOOL:
            self._add_answers(text)
        elif speaker == _CALL:
            self.messages.append({"role": "assistant", "tool_calls": self._tool_calls(text, where), **weight})
        elif speaker == "assistant" and self._has_tools and "<tool_call>" in text:
            calls = [call for each in _CALL_TAG.findall(text) for call in self._tool_calls(each, where)]
            rest = _CALL_TAG.sub("", text).strip()
            self.messages.append(
                {"role": "assistant", **({"content": rest} if rest else {}), "tool_calls": calls, **weight}
            )
        else:
            self.messages.append({"role": speaker, "content": text, **weight})

    def _tool_calls(self, text: str, where: str) -> list[dict[str, Any]]:
        try:
            found = parse_json(text)
        except JsonFault as fault:
            raise RowFault(f"{where}: the call is not strict JSON: {fault.problem}") from None
        calls = []
        for call in found if isinstance(found, list) else [found]:
            if not (isinstance(call, dict) and isinstance(call.get("name"), str) and "arguments" in call):
                raise RowFault(f"{where}: a call needs name and arguments")
            arguments = call["arguments"]
            written = arguments if isinstance(arguments, str) else compact_json(arguments)
            self._calls += 1
            calls.append(tool_call(self._calls, call["name"], written))
            self._open.append(calls[-1]["id"])
        return calls

    def _add_answers(self, text: str) -> None:
        answers = _ANSWER_TAG.findall(text) or _several(text, len(self._open))
        for answer in answers:
            name = self._open.pop(0) if self._open else NO_CALL
            self.messages.append({"role": "tool", "tool_call_id": name, "content": answer})


def _read_turn(turn: Message, where: str) -> tuple[str, str]:
    unread = [key for key, item in turn.items() if key not in _TURN and item is not None]
    if unread:
        raise RowFault(f"{where} has {unread[0]!r}, which would be lost", "a turn has from, value and weight")
    who, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    speaker = _SPEAKERS.get(who) if isinstance(who, str) else None
    if speaker is None:
        raise RowFault(f"{where} is from {who!r}", f"known: {', '.join(_SPEAKERS)}")
    if not isinstance(text, str):
        raise RowFault(f"{where}: the value is {type_name(text)}, not text")
    return speaker, text


def _several(text: str, calls: int) -> list[str]:
    """The answers to parallel calls, which may come as one JSON list."""
    if calls > 1:
        try:
            found = parse_json(text)
        except JsonFault:
            return [text]
        if isinstance(found, list) and len(found) == calls:
            return [each if isinstance(each, str) else compact_json(each) for each in found]
    return [text]


def _is_wrapped(tool: object) -> bool:
    return isinstance(tool, dict) and "type" in tool and "function" in tool


def _wrapped(tool: object) -> dict[str, Any]:
    if not (isinstance(tool, dict) and isinstance(tool.get("name"), str)):
        raise RowFault("tools: a tool has no name")
    return {"type": "function", "function": tool}


SHAREGPT = Shape("sharegpt", ("conversations",), frozenset({"conversations", "system", "tools"}), read)
