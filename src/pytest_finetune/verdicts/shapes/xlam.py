"""xLAM function calling: `query`, `tools` and `answers`, the last two as JSON text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.verdicts.shapes.row import (
    ChatRow,
    RowFault,
    Shape,
    json_list_in,
    system_in,
    text_in,
    tool_call,
    user,
)

if TYPE_CHECKING:
    from pytest_finetune.base.json_text import Json
    from pytest_finetune.verdicts.shapes.row import Value

_TYPES = {
    **dict.fromkeys(("str", "string"), "string"),
    **dict.fromkeys(("int", "integer"), "integer"),
    **dict.fromkeys(("float", "number"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("list", "tuple", "set", "array"), "array"),
    **dict.fromkeys(("dict", "object"), "object"),
}
_OPTIONAL = re.compile(r",\s*optional\Z|\AOptional\[(.*)\]\Z", re.IGNORECASE | re.DOTALL)


def read(value: Value) -> ChatRow:
    """The chat of a row; its answer is the calls."""
    answers = json_list_in(value, "answers")
    if not answers:
        raise RowFault("no answer: answers has no call")
    calls = []
    for index, answer in enumerate(answers):
        if not (isinstance(answer, dict) and isinstance(answer.get("name"), str)):
            raise RowFault(f"answers[{index}] has no name")
        arguments = answer.get("arguments", {})
        calls.append(tool_call(index, answer["name"], arguments if type(arguments) is str else compact_json(arguments)))
    tools = [_tool(each, index) for index, each in enumerate(json_list_in(value, "tools"))]
    prompt = [*system_in(value, "system"), user(text_in(value, "query"))]
    return ChatRow(XLAM.name, [*prompt, {"role": "assistant", "tool_calls": calls}], tools or None)


def _tool(tool: object, index: int) -> dict[str, Any]:
    if isinstance(tool, dict) and isinstance(tool.get("function"), dict):
        return tool
    if not (isinstance(tool, dict) and isinstance(tool.get("name"), str)):
        raise RowFault(f"tools[{index}] has no name")
    parameters = tool.get("parameters")
    # Servers refuse an empty object, which xLAM has for functions without parameters.
    function = {key: item for key, item in tool.items() if key != "parameters"}
    return {"type": "function", "function": function | ({"parameters": _schema(parameters)} if parameters else {})}


def _schema(parameters: Json) -> Json:
    """A JSON Schema of parameters that are listed by name with a Python type; others are left as they are."""
    if not isinstance(parameters, dict) or isinstance(parameters.get("type"), str):
        return parameters
    listed = {name: each for name, each in parameters.items() if isinstance(each, dict)}
    if len(listed) != len(parameters):
        return parameters
    required = [
        name for name, each in listed.items() if "default" not in each and not _OPTIONAL.search(str(each.get("type")))
    ]
    schema = {"type": "object", "properties": {name: _property(each) for name, each in listed.items()}}
    return schema | ({"required": required} if required else {})


def _property(described: dict[str, Any]) -> dict[str, Any]:
    written = _OPTIONAL.sub(lambda found: found[1] or "", str(described.get("type", ""))).strip()
    base = _TYPES.get(re.split(r"[\[ ,(]", written.lower(), maxsplit=1)[0])
    # A type that JSON Schema cannot name, such as a union, allows any value.
    return ({"type": base} if base else {}) | {key: item for key, item in described.items() if key != "type"}


XLAM = Shape("xlam", ("query", "answers"), frozenset({"query", "answers", "tools", "system"}), read)
