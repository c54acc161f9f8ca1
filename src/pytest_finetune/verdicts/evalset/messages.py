"""Reads chat messages and tools as defined by the chat completions API; unknown roles and keys are faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_text import type_name, without_nulls
from pytest_finetune.base.records import NOTHING, Message, ToolCall
from pytest_finetune.base.text import shown
from pytest_finetune.verdicts.shapes.row import tools_without_padding

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_finetune.verdicts.evalset.reading import Faults

_TEXT = frozenset({"role", "content", "name"})
ROLE_KEYS = {
    "system": _TEXT,
    "developer": _TEXT,
    "user": _TEXT,
    "assistant": _TEXT | {"tool_calls", "refusal", "weight"},
    "tool": _TEXT | {"tool_call_id"},
}
"""The roles of the chat format, each with the keys that its messages may have."""

_PLAIN = ("role", "content")
_SPEAKERS = {role: role for role in ("system", "developer", "user", "assistant")}
"""Each role as one string, which all messages share."""

_NOT_SENT = {"role", "content", "weight"}
_OLD_WAYS = {
    "function_call": "write it as tool_calls, the form that replaced function_call",
    "functions": "write them as tools, the form that replaced functions",
}


def read_message(value: Any, where: str, faults: Faults) -> Message | None:
    """
    One message of a prompt or the expected answer; None when it has a fault.

    `weight` only steers training, so it is checked and left out.
    """
    if type(value) is not dict:
        faults.add(f"{where} is {type_name(value)}, not a message", 'write {"role": "user", "content": "…"}')
        return None
    role, content = value.get("role"), value.get("content")
    if len(value) == len(_PLAIN) and type(content) is str and type(role) is str and role in _SPEAKERS:
        return Message(_SPEAKERS[role], content, NOTHING)
    return _read_unusual_message(value, where, faults)


def refuse_unknown(value: Mapping[str, Any], known: Collection[str], where: str, faults: Faults) -> None:
    """Add a fault for each unknown key of an object; one that is null is absent."""
    for key, item in value.items():
        if key not in known and item is not None:
            faults.add(f"unknown key {key!r}{where}", key_hint(key, known, value))


def key_hint(key: str, known: Collection[str], present: Collection[str] = ()) -> str:
    """A hint for an unknown key of an object with the keys `present`: what replaced it, or the closest known key."""
    hint = _OLD_WAYS.get(key) or did_you_mean(key, known, present)
    return f"remove it; {hint}" if hint.startswith("known:") else hint


def is_weight(value: Any) -> bool:
    """Whether a value is a weight of an answer: 0 or 1, however the number is written."""
    return type(value) in (int, float) and value in (0, 1)


def weight_fault(value: Any) -> tuple[str, str]:
    """Problem and hint for a value that is not a weight."""
    hint = "write it without quotes" if value in ("0", "1") else "a weight is 0 or 1"
    return f"the weight is {shown(value, 40)}", hint


def is_weight_zero(message: Mapping[str, Any]) -> bool:
    """Whether a message is not learned."""
    return is_weight(message.get("weight")) and message["weight"] == 0


def expected_text(message: Message, where: str, faults: Faults) -> str | None:
    """The text of the expected answer, its text parts joined; None when it has no text."""
    if type(message.content) is not list:
        return message.content or None if "tool_calls" in message.extra else message.content
    others = [part["type"] for part in message.content if part["type"] != "text"]
    if others:
        faults.add(f"{where} holds a part of type {others[0]!r}", "an expected answer is text or tool calls")
    return "".join(part["text"] for part in message.content if part["type"] == "text")


def expected_calls(message: Message) -> tuple[ToolCall, ...]:
    """The tool calls of an expected answer."""
    calls = message.extra.get("tool_calls", ())
    return tuple(ToolCall(call["function"]["name"], call["function"]["arguments"]) for call in calls)


def read_tools(value: Any, faults: Faults) -> tuple[Mapping[str, Any], ...]:
    """Tool definitions without keys that are null; each is an object with a type, and a function has a name."""
    if type(value) is not list:
        faults.add(f"tools is {type_name(value)}, not a list", 'write [{"type": "function", "function": {…}}]')
        return ()
    for index, tool in enumerate(value):
        _check_tool(tool, f"tools[{index}]", faults)
    return tuple(tools_without_padding(value))


def _check_tool(tool: Any, where: str, faults: Faults) -> None:
    kind = tool.get("type") if type(tool) is dict else None
    if type(kind) is not str:
        faults.add(f"{where} is not a tool", 'write {"type": "function", "function": {…}}')
    elif kind == "function":
        function = tool.get("function")
        if type(function) is not dict or type(function.get("name")) is not str or not function["name"]:
            faults.add(f"{where}.function has no name", 'write {"name": "…", "parameters": {…}}')


def _read_unusual_message(value: dict[str, Any], where: str, faults: Faults) -> Message | None:
    before = len(faults.found)
    role = value.get("role")
    if type(role) is not str or role not in ROLE_KEYS:
        if "role" not in value:
            faults.add(f"{where} has no role", f"add one of: {', '.join(ROLE_KEYS)}")
        else:
            faults.add(f"{where} has the unknown role {role!r}", did_you_mean(str(role), ROLE_KEYS))
        return None
    known = ROLE_KEYS[role]
    refuse_unknown(value, known, f" in {where}", faults)
    if value.get("tool_calls") is not None and role == "assistant":
        check_tool_calls(value["tool_calls"], f"{where}.tool_calls", faults)
    _check_content(value, where, faults)
    _check_small_keys(value, where, faults)
    if len(faults.found) > before:
        return None
    extra = without_nulls({key: value[key] for key in value if key in known and key not in _NOT_SENT})
    return Message(role, without_nulls(value.get("content")), extra or NOTHING)


def _check_content(value: dict[str, Any], where: str, faults: Faults) -> None:
    content = value.get("content")
    if type(content) is list:
        for index, part in enumerate(content):
            _check_part(part, f"{where}.content[{index}]", faults)
        if not content:
            faults.add(f"{where}.content is an empty list", "write text, or at least one part")
    elif content is None:
        if not (value.get("tool_calls") or value.get("refusal")):
            faults.add(f"{where} has no content", 'write "content": "…"')
    elif type(content) is not str:
        faults.add(f"{where}.content is {type_name(content)}, not text", "write a JSON value as text, in quotes")


def _check_part(part: Any, where: str, faults: Faults) -> None:
    kind = part.get("type") if type(part) is dict else None
    if type(kind) is not str:
        faults.add(f"{where} is not a content part", 'write {"type": "text", "text": "…"}')
    elif kind == "text" and type(part.get("text")) is not str:
        faults.add(f"{where} has no text", 'write {"type": "text", "text": "…"}')


def _check_small_keys(value: dict[str, Any], where: str, faults: Faults) -> None:
    for key in ("name", "tool_call_id", "refusal"):
        if value.get(key) is not None and type(value[key]) is not str:
            faults.add(f"{where}.{key} is {type_name(value[key])}, not text", "write it in quotes")
    if value["role"] == "tool" and value.get("tool_call_id") is None:
        faults.add(f"{where} has no tool_call_id", "name the call that this message answers")
    if value.get("weight") is not None and not is_weight(value["weight"]):
        problem, hint = weight_fault(value["weight"])
        faults.add(f"{where}: {problem}", hint)


def check_tool_calls(value: Any, where: str, faults: Faults) -> None:
    """Add a fault for everything that is wrong with a list of function calls."""
    if type(value) is not list or not value:
        found = "an empty list" if value == [] else f"{type_name(value)}, not a list of calls"
        faults.add(f"{where} is {found}", "leave it out where nothing is called")
        return
    for index, call in enumerate(value):
        _check_tool_call(call, f"{where}[{index}]", faults)


def _check_tool_call(call: Any, where: str, faults: Faults) -> None:
    function = call.get("function") if type(call) is dict else None
    if type(function) is not dict:
        faults.add(f"{where} is not a function call", 'write {"type": "function", "function": {"name": "…", …}}')
        return
    refuse_unknown(call, ("id", "type", "function"), f" in {where}", faults)
    refuse_unknown(function, ("name", "arguments"), f" in {where}.function", faults)
    if type(function.get("name")) is not str or not function["name"]:
        faults.add(f"{where}.function has no name", "name the function that is called")
    if type(function.get("arguments")) is not str:
        faults.add(
            f"{where}.function.arguments is not text", 'write the arguments as JSON text: "{\\"city\\": \\"Oslo\\"}"'
        )
