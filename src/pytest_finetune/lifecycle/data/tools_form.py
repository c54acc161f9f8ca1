"""Tools and tool calls: tools must be well-formed, calls must match their definitions, and be answered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import ScorerError, did_you_mean
from pytest_finetune.base.json_text import canonical_json, type_name
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.messages import check_tool_calls, read_tools
from pytest_finetune.verdicts.evalset.reading import Faults
from pytest_finetune.verdicts.json_schema.formats import INSTALL_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.lifecycle.data.structure import ReportFinding
    from pytest_finetune.verdicts.json_schema.validation import Schema

MOST_TOOL_SETS = 1000
"""Different lists of tools whose compiled schemas are cached."""


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""Names of functions, from the OpenAI API reference, `tools[].function.name`; other servers have the same rule."""


@dataclass(frozen=True, slots=True)
class _Tools:
    """One list of tools: its problems with hints, and the parameter schema of each function by name."""

    faults: tuple[tuple[str, str], ...] = ()
    functions: Mapping[str, Schema | None] = field(default_factory=dict)

    @property
    def unchecked(self) -> set[str]:
        """Formats that are not checked, because their library is not installed."""
        return {name for schema in self.functions.values() if schema for name in schema.unchecked}


class ToolsForm:
    """Checks rows; a list of tools that many rows share is compiled once."""

    def __init__(self) -> None:
        self._known: dict[str, _Tools] = {}
        self._unchecked: set[str] = set()

    def check(self, messages: Iterable[Any], offered: object, report: ReportFinding) -> None:
        """Report what is wrong with the tools of a row, its calls, and the answers to them."""
        tools = self._tools(offered) if offered is not None else _Tools()
        for problem, hint in tools.faults:
            report("invalid_tools", problem, hint, path="$.tools")
        self._note_unchecked(tools, report)
        calls = _Calls(report)
        for index, message in enumerate(messages):
            if type(message) is not dict:
                continue
            path = f"$.messages[{index}]"
            if message.get("role") == "tool":
                calls.answer(message, path)
                continue
            calls.refuse_unanswered(path)
            if message.get("tool_calls") is not None and message.get("role") == "assistant":
                for place, call in calls.read(message["tool_calls"], f"{path}.tool_calls"):
                    _check_call(call["function"], tools, f"{place}.function", report)

    def _note_unchecked(self, tools: _Tools, report: ReportFinding) -> None:
        """Report each format that is not checked once, at the first row that has it."""
        for name in tools.unchecked - self._unchecked:
            problem = f"the format {name!r} of tool arguments is not checked, its library is not installed"
            report("format_not_checked", problem, INSTALL_FORMATS, path="$.tools")
        self._unchecked |= tools.unchecked

    def _tools(self, value: object) -> _Tools:
        text = canonical_json(value)
        if text not in self._known:
            if len(self._known) >= MOST_TOOL_SETS:
                self._known.clear()
            self._known[text] = _examine(value)
        return self._known[text]


def _examine(value: object) -> _Tools:
    noted = Faults("")
    if type(value) is list and not value:
        noted.add("tools is an empty list", "omit tools if the row has none")
    listed = read_tools(value, noted)
    functions: dict[str, Schema | None] = {}
    for index, tool in enumerate(listed if not noted.found else ()):
        if tool["type"] == "function":
            name, parameters = tool["function"]["name"], tool["function"].get("parameters")
            if name in functions:
                noted.add(f"tools[{index}]: two tools are named {shorten(name)!r}", "tool names must be unique")
            if not _NAME.fullmatch(name):
                hint = "use at most 64 letters, digits, _ and - of ASCII"
                noted.add(f"tools[{index}]: {shorten(name)!r} is not a name that servers accept", hint)
            functions[name] = None if parameters is None else _compiled(parameters, f"tools[{index}]", noted)
    return _Tools(tuple((fault.problem, fault.hint) for fault in noted.found), functions)


def _compiled(parameters: object, where: str, noted: Faults) -> Schema | None:
    from pytest_finetune.verdicts.json_schema.validation import compile_schema

    try:
        schema = compile_schema(parameters, where, may_lack_libraries=True)
    except ScorerError as error:
        place = f"{error.where}: " if error.where else ""
        noted.add(
            f"{place}invalid parameters: {error.problem}",
            error.hint or 'write a JSON Schema: "parameters": {"type": "object", "properties": …}',
        )
        return None
    if type(parameters) is dict and parameters.get("type", "object" if parameters else None) != "object":
        # OpenAI's error: schema must be a JSON Schema of 'type: "object"'.
        noted.add(
            f"{where}: the parameters are not an object", 'write "parameters": {"type": "object", "properties": …}'
        )
        return None
    return schema


class _Calls:
    """The calls of a conversation that are not answered yet, each id with its JSON path."""

    def __init__(self, report: ReportFinding) -> None:
        self._report = report
        self._open: dict[str, str] = {}
        self._is_complete = True

    def read(self, value: object, path: str) -> list[tuple[str, dict[str, Any]]]:
        """The calls of a message with their JSON paths; none if one of them is malformed."""
        noted = Faults("")
        check_tool_calls(value, path, noted)
        for fault in noted.found:
            problem = fault.problem.replace(f"{path} ", "tool_calls ").replace(f"{path}[", "tool_calls[")
            self._report("invalid_tool_calls", problem, fault.hint, path=path)
        calls = [(f"{path}[{index}]", call) for index, call in enumerate(value if type(value) is list else ())]
        for place, call in calls:
            self._open_call(call, place, is_valid=not noted.found)
        self._is_complete = self._is_complete and bool(calls)
        return [] if noted.found else calls

    def _open_call(self, call: object, path: str, *, is_valid: bool) -> None:
        """Note the id of a call. Faults of an id or a type are reported only if the calls are valid otherwise."""
        found: dict[str, Any] = call if type(call) is dict else {}
        name = found.get("id")
        if is_valid and found.get("type") != "function":
            self._report("invalid_tool_calls", "the call has no type", 'add "type": "function"', path=path)
        if type(name) is not str or not name:
            self._is_complete = False
            if is_valid:
                hint = "add one; the tool's answer refers to it"
                self._report("invalid_tool_calls", "the call has no id", hint, path=path)
        elif name in self._open:
            self._report(
                "invalid_tool_calls",
                f"two calls have the id {shorten(name)!r}",
                "ids must be unique",
                path=f"{path}.id",
            )
        else:
            self._open[name] = path

    def answer(self, message: Mapping[str, Any], path: str) -> None:
        """Close the call that a tool message answers."""
        name = message.get("tool_call_id")
        if type(name) is not str:
            # Reported as a missing key; it answers one of the calls.
            self._open.clear()
            self._is_complete = False
        elif self._open.pop(name, None) is None and self._is_complete:
            hint = did_you_mean(name, self._open) if self._open else "remove it, or add the call before it"
            problem = f"no open call has the id {shorten(name)!r}"
            self._report("tool_answer_unmatched", problem, hint, path=f"{path}.tool_call_id")
            if self._open:
                # It was meant for one of them, which is thus not reported as unanswered.
                self._open.pop(next(iter(self._open)))

    def refuse_unanswered(self, path: str) -> None:
        """Report the calls that are still open when the conversation continues at a path."""
        for name, called in self._open.items():
            problem = f"the call {shorten(name)!r} was not answered before {path}"
            hint = "add a tool message with its answer after the call"
            self._report("tool_call_unanswered", problem, hint, path=called)
        self._open.clear()


def _check_call(function: Mapping[str, Any], tools: _Tools, path: str, report: ReportFinding) -> None:
    name, path_of_arguments = function["name"], f"{path}.arguments"
    if name not in tools.functions and not tools.faults:
        hint = did_you_mean(name, tools.functions) if tools.functions else 'add the row\'s "tools"'
        report("unknown_tool", f"no tool is named {shorten(name)!r}", hint, path=f"{path}.name")
    try:
        arguments = parse_json(function["arguments"])
    except JsonFault as fault:
        report(
            "tool_arguments",
            f"not strict JSON: {fault.problem}",
            "arguments must be one JSON object",
            path=path_of_arguments,
        )
        return
    if type(arguments) is not dict:
        problem = f"the arguments are {type_name(arguments)}, not an object"
        report("tool_arguments", problem, "arguments must be one JSON object", path=path_of_arguments)
        return
    schema = tools.functions.get(name)
    if schema and (fault_found := schema.fault(arguments)):
        problem = f"{fault_found.path}: {fault_found.problem}"
        report("tool_arguments", problem, "arguments must match the tool's parameters", path=path_of_arguments)
