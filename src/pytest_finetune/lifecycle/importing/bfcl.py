"""The Berkeley Function Calling Leaderboard: questions with functions, and the calls that are right."""

from __future__ import annotations

import marshal
import re
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.json_path import step
from pytest_finetune.base.json_text import compact_json, type_name
from pytest_finetune.lifecycle.importing.answers import plain_messages
from pytest_finetune.lifecycle.importing.foreign import (
    ForeignCase,
    Format,
    NotCarried,
    described,
    each_row,
    fitting,
    list_of,
)
from pytest_finetune.verdicts.shapes.row import tool_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_finetune.base.json_text import Json
    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions

    _Skip = Callable[[int, str], None]

_TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array", "bool": "boolean"}
_FOREIGN_TYPES = {
    *("Any", "Array", "ArrayList", "Bigint", "Boolean", "HashMap", "Hashtable", "Queue", "Set", "Stack", "String"),
    *("byte", "char", "double", "long", "short"),
}
"""Types of the Java and JavaScript questions, whose arguments are source code."""

_LEFT_OUT = ""
"""Among the right values of an argument: it may be left out."""

_MOST_VALUES = 200
"""Right values of one argument whose objects have right values of their own."""

_NO_CALL = "no call"
_TEXTS = "BFCL compares texts without case, spaces and punctuation; here an argument must equal one of its right values"


def _read(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    findings.settings["scorer"] = {"type": "tool_call", "unordered": True}
    findings.note(_TEXTS)

    def convert(row: Row) -> ForeignCase:
        return ForeignCase(row.line, _case(row.value, options))

    yield from each_row(fitting(rows, _is_question, skip), convert, skip)


def _case(value: Mapping[str, Any], options: ImportOptions) -> dict[str, Any]:
    listed = value["function"] if isinstance(value["function"], list) else [value["function"]]
    names: dict[str, str] = {}
    tools = [_tool(each, names) for each in listed]
    prompt = _prompt(value["question"])
    name = value.get("id")
    right = _ground_truth(value, options)
    described_by = described(value, ("id", "question", "function", "ground_truth"))
    case: dict[str, Any] = {"id": name, "tools": tools, **described_by}
    if not right:
        return case | {"messages": [*prompt, {"role": "assistant", "content": _NO_CALL}]}
    calls, accept = _Calls(names, {each["function"]["name"]: each["function"] for each in tools}).read(right)
    case["messages"] = [*prompt, {"role": "assistant", "tool_calls": calls}]
    return case | ({"accept": accept} if accept else {})


def _ground_truth(value: Mapping[str, Any], options: ImportOptions) -> list[Any]:
    """The calls that are right; none where no call is right."""
    name = str(value.get("id", ""))
    found = value.get("ground_truth")
    if found is None and name in options.others:
        found = marshal.loads(options.others[name]).get("ground_truth")  # noqa: S302 - our own bytes
    if found is None and "irrelevance" in name:
        return []
    if found is None:
        if options.others:
            raise NotCarried("the file of --with has no right calls for its id")
        raise NotCarried("its right calls are in BFCL's folder possible_answer: add that file by --with")
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise NotCarried(
            "its ground_truth is not a list of calls with their right values: it is judged by running code"
        )
    return found


def _prompt(question: object) -> list[dict[str, Any]]:
    if isinstance(question, str):
        return [{"role": "user", "content": question}]
    turns = question if isinstance(question, list) else []
    if not turns or not all(isinstance(each, list) for each in turns):
        return plain_messages(turns)
    if len(turns) != 1:
        raise NotCarried(f"it has {len(turns)} turns, between which functions must run")
    return plain_messages(turns[0])


def _tool(function: object, names: dict[str, str]) -> dict[str, Any]:
    """The definition of a function, by a name that servers accept, as BFCL makes it too."""
    if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
        raise NotCarried("a function has no name")
    written = re.sub(r"[^A-Za-z0-9_-]", "_", function["name"])[:64]
    if written in names.values():
        raise NotCarried(f"two functions have the name {written!r}")
    names[function["name"]] = written
    parameters = _schema(function.get("parameters") or {"type": "object", "properties": {}})
    if not isinstance(parameters, dict):
        raise NotCarried(f"the parameters of {written} are {type_name(parameters)}, not an object")
    kept = {key: function[key] for key in ("description",) if function.get(key)}
    return {"type": "function", "function": {"name": written, **kept, "parameters": parameters}}


def _schema(described_type: Json) -> Json:
    """JSON Schema from BFCL's, which has the types of Python."""
    if not isinstance(described_type, dict):
        return described_type
    kind = described_type.get("type")
    if isinstance(kind, str) and kind in _FOREIGN_TYPES:
        raise NotCarried(f"its functions have the type {kind!r} of Java or JavaScript: arguments are source code")
    schema = {key: item for key, item in described_type.items() if key not in ("type", "optional")}
    if isinstance(kind, str) and kind != "any":
        schema["type"] = _TYPES.get(kind, kind)
    if isinstance(schema.get("properties"), dict):
        schema["properties"] = {name: _schema(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = _schema(schema["items"])
    return schema


class _Calls:
    """Turns right values into expected calls, and into the other values that are accepted."""

    def __init__(self, names: Mapping[str, str], functions: Mapping[str, Mapping[str, Any]]) -> None:
        self._names, self._functions = names, functions
        self._accept: dict[str, list[Json]] = {}
        self._seen: dict[str, int] = {}

    def read(self, right: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, list[Json]]]:
        calls = [self._call(each, number) for number, each in enumerate(right)]
        return calls, self._accept

    def _call(self, right: dict[str, Any], number: int) -> dict[str, Any]:
        if len(right) != 1:
            raise NotCarried(f"ground_truth[{number}] does not name one function")
        ((written, values),) = right.items()
        name = self._names.get(written) or next((each for each in self._names.values() if each == written), "")
        if not name:
            raise NotCarried(f"ground_truth[{number}] calls {written!r}, which is not one of its functions")
        if not isinstance(values, dict):
            raise NotCarried(f"ground_truth[{number}] is {type_name(values)}, not an object of right values")
        self._seen[name] = self._seen.get(name, 0) + 1
        key = name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"
        required = list_of(self._functions[name]["parameters"].get("required"))
        arguments: dict[str, Json] = {}
        for parameter, alternatives in values.items():
            path = f"${step(key)}{step(parameter)}"
            right_values = _right_values(alternatives, path)
            if parameter in required or not _may_be_left_out(alternatives):
                arguments[parameter] = right_values.pop(0)
            if right_values:
                self._accept[path] = right_values
        self._validate(name, arguments)
        return tool_call(number, name, compact_json(arguments))

    def _validate(self, name: str, arguments: dict[str, Json]) -> None:
        from pytest_finetune.verdicts.json_schema.validation import compile_schema

        try:
            parameters = self._functions[name]["parameters"]
            fault = compile_schema(parameters, name, may_lack_libraries=True).fault(arguments)
        except ScorerError as error:
            raise NotCarried(f"the parameters of {name} are no JSON Schema: {error.problem}") from None
        if fault:
            raise NotCarried(
                f"its own right call is invalid under the parameters of {name}: {fault.path}: {fault.problem}"
            )


def _may_be_left_out(alternatives: list[Json]) -> bool:
    return len(alternatives) > 1 and _LEFT_OUT in [each for each in alternatives if isinstance(each, str)]


def _right_values(alternatives: Json, path: str) -> list[Json]:
    if not isinstance(alternatives, list) or not alternatives:
        raise NotCarried(f"{path} has no list of right values")
    given = [each for each in alternatives if each != _LEFT_OUT] or alternatives
    return _each_once(value for each in given for value in _concrete(each))


def _concrete(value: Json) -> list[Json]:
    """The values that a right value stands for: those of its objects have lists of right values."""
    if isinstance(value, dict):
        lists = {key: each if isinstance(each, list) else [each] for key, each in value.items()}
        options = [[(key, each) for right in lists[key] for each in _concrete(right)] for key in lists]
        return [{key: each for key, each in pairs if each != _LEFT_OUT} for pairs in _bounded(options)]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [list(items) for items in _bounded([_concrete(each) for each in value])]
    return [value]


def _bounded(options: list[list[Any]]) -> list[tuple[Any, ...]]:
    made = list(islice(product(*options), _MOST_VALUES + 1))
    if len(made) > _MOST_VALUES:
        raise NotCarried(f"an argument has more than {_MOST_VALUES} right values")
    return made


def _each_once(values: Iterable[Json]) -> list[Json]:
    return list({compact_json(value): value for value in values}.values())


def _is_question(row: Mapping[str, Any]) -> bool:
    return "question" in row and isinstance(row.get("function"), list | dict)


FORMATS = (
    Format(
        "bfcl",
        "questions of the Berkeley Function Calling Leaderboard",
        _is_question,
        _read,
        frozenset({"others"}),
    ),
)
