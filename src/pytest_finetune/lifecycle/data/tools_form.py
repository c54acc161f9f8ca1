"""The form of tools and tool calls: defined so that they can be sent, called as they are defined, and answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import ScorerError, did_you_mean
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.formats import canonical_json
from pytest_finetune.verdicts.evalset.messages import check_tool_calls, read_tools
from pytest_finetune.verdicts.evalset.reading import Faults, type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.lifecycle.data.structure import Say
    from pytest_finetune.verdicts.json_schema.validation import Schema

MOST_TOOL_SETS = 1000
"""Different lists of tools whose compiled schemas are kept."""


@dataclass(frozen=True, slots=True)
class _Tools:
    """One list of tools: its faults, and the functions by name with the schema of their parameters."""

    faults: tuple[tuple[str, str], ...] = ()
    functions: Mapping[str, Schema | None] = field(default_factory=dict)


class ToolsForm:
    """Checks rows; lists of tools that many rows share are looked at once."""

    def __init__(self) -> None:
        self._known: dict[str, _Tools] = {}

    def check(self, row: Mapping[str, Any], say: Say) -> None:
        """Note what is wrong with the tools of a row, its calls, and the answers to them."""
        messages = row.get("messages")
        if type(messages) is not list:
            return
        tools = self._tools(row["tools"]) if row.get("tools") is not None else _Tools()
        for problem, hint in tools.faults:
            say("invalid_tools", problem, hint, path="$.tools")
        pending: dict[str, str] = {}
        for index, message in enumerate(messages):
            if type(message) is not dict:
                continue
            path = f"$.messages[{index}]"
            if message.get("role") == "tool":
                _check_answer(message, pending, path, say)
                continue
            _refuse_pending(pending, path, say)
            if message.get("tool_calls") is not None and message.get("role") == "assistant":
                for place, call in _read_calls(message["tool_calls"], f"{path}.tool_calls", say):
                    _check_id(call, pending, place, say)
                    _check_call(call["function"], tools, f"{place}.function", say)

    def _tools(self, value: Any) -> _Tools:
        text = canonical_json(value)
        if text not in self._known:
            if len(self._known) >= MOST_TOOL_SETS:
                self._known.clear()
            self._known[text] = _examine(value)
        return self._known[text]


def _examine(value: Any) -> _Tools:
    noted = Faults("")
    if type(value) is list and not value:
        noted.add("tools is an empty list", "leave it out where no tool is offered")
    listed = read_tools(value, noted)
    functions: dict[str, Schema | None] = {}
    for index, tool in enumerate(listed if not noted.found else ()):
        if tool["type"] == "function":
            name, parameters = tool["function"]["name"], tool["function"].get("parameters")
            if name in functions:
                noted.add(f"tools[{index}]: two tools are named {shorten(name)!r}", "give each a name of its own")
            functions[name] = None if parameters is None else _compiled(parameters, f"tools[{index}]", noted)
    return _Tools(tuple((fault.problem, fault.hint) for fault in noted.found), functions)


def _compiled(parameters: Any, where: str, noted: Faults) -> Schema | None:
    from pytest_finetune.verdicts.json_schema.validation import compile_schema

    try:
        return compile_schema(parameters, where)
    except ScorerError as error:
        place = f"{error.where}: " if error.where else ""
        noted.add(f"{place}the parameters cannot be used: {error.problem}", error.hint or "write a JSON Schema")
        return None


def _read_calls(value: Any, path: str, say: Say) -> list[tuple[str, dict[str, Any]]]:
    """The calls of a message with their places; none where one of them cannot be read."""
    noted = Faults("")
    check_tool_calls(value, path, noted)
    for fault in noted.found:
        say("invalid_tool_calls", fault.problem.removeprefix(f"{path} "), fault.hint, path=path)
    return [] if noted.found else [(f"{path}[{index}]", call) for index, call in enumerate(value)]


def _check_id(call: Mapping[str, Any], pending: dict[str, str], path: str, say: Say) -> None:
    """Note what is wrong with a call's id and type; a call that can be answered joins those that wait for it."""
    name = call.get("id")
    if call.get("type") != "function":
        say("invalid_tool_calls", "the call has no type", 'write "type": "function"', path=path)
    if type(name) is not str or not name:
        say("invalid_tool_calls", "the call has no id", "give it one: the tool's answer names it", path=path)
    elif name in pending:
        problem = f"two calls have the id {shorten(name)!r}"
        say("invalid_tool_calls", problem, "an id names one call", path=f"{path}.id")
    else:
        pending[name] = path


def _check_call(function: Mapping[str, Any], tools: _Tools, path: str, say: Say) -> None:
    name, path_of_arguments = function["name"], f"{path}.arguments"
    if name not in tools.functions and not tools.faults:
        hint = did_you_mean(name, tools.functions) if tools.functions else "offer it: add tools to the row"
        say("unknown_tool", f"no tool is named {shorten(name)!r}", hint, path=f"{path}.name")
    try:
        arguments = parse_json(function["arguments"])
    except JsonFault as fault:
        say("tool_arguments", f"not strict JSON: {fault.problem}", "write one JSON object", path=path_of_arguments)
        return
    if type(arguments) is not dict:
        problem = f"the arguments are {type_name(arguments)}, not an object"
        say("tool_arguments", problem, "write one JSON object", path=path_of_arguments)
        return
    schema = tools.functions.get(name)
    if schema and (fault_found := schema.fault(arguments)):
        problem = f"{fault_found.path}: {fault_found.problem}"
        say("tool_arguments", problem, "let them fit the tool's parameters", path=path_of_arguments)


def _check_answer(message: Mapping[str, Any], pending: dict[str, str], path: str, say: Say) -> None:
    name = message.get("tool_call_id")
    if type(name) is str and pending.pop(name, None) is None:
        hint = did_you_mean(name, pending) if pending else "put the call before its answer"
        say("tool_answer_unmatched", f"no open call has the id {shorten(name)!r}", hint, path=f"{path}.tool_call_id")


def _refuse_pending(pending: dict[str, str], path: str, say: Say) -> None:
    for name, called in pending.items():
        problem = f"the call {shorten(name)!r} was not answered before {path}"
        say("tool_call_unanswered", problem, "put a message of role tool for it after the call", path=called)
    pending.clear()
