"""
JSON Schemas of eval sets, with which editors complete and check `NAME.toml` and the lines of `NAME.jsonl`.

They are made from the models that read the files. What a schema accepts may still be refused when the set is loaded: a
gate on a metric that its scorer does not have, for example.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_finetune.verdicts.evalset.gate_metrics import METRICS
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers, installed_scorers
from pytest_finetune.verdicts.evalset.settings import EvalSettings, ScorerSettings
from pytest_finetune.verdicts.scoring import scorer_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that the TOML extensions of editors know."""

_FUNCTION = r"^[\w.]+:\w+$"
_TABLE_ONLY = ("name", "decides", "expected")
"""Keys of a table of `[[scorers]]` that `[scorer]` does not have."""

_TEXT = {"type": "string"}
_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]},
            "content": {"type": ["string", "array", "null"]},
            "tool_calls": {"type": "array", "items": {"type": "object"}},
            "tool_call_id": _TEXT,
        },
    },
}
_INPUT = {"description": "the question: text, or a list of messages", "anyOf": [_TEXT, _MESSAGES]}
_SYSTEM = {"type": ["string", "null"], "description": "system prompt"}
_ANSWER = {"description": "the expected answer; a list means any of them"}
_SHAPES: Mapping[str, Mapping[str, Any]] = {
    "expected": {"system": _SYSTEM, "input": _INPUT, "expected": _ANSWER},
    "output": {"system_prompt": _SYSTEM, "input": _INPUT, "output": _ANSWER},
    "ideal": {"input": _INPUT, "ideal": _ANSWER},
    "target": {"input": _INPUT, "target": _ANSWER},
    "expected_output": {"input": _INPUT, "expected_output": _ANSWER},
    "messages": {
        "messages": {**_MESSAGES, "description": "a chat whose last message is the expected answer"},
        "tools": {"type": ["array", "null"], "items": {"type": "object"}, "description": "functions, as in the API"},
        "parallel_tool_calls": {"type": ["boolean", "null"], "description": "read, and not sent"},
    },
}
_COMMON = {
    "id": {"type": ["string", "integer"], "description": "unique in the file; the test's name"},
    "tags": {"type": "array", "items": _TEXT, "description": "for -k, and for gates over a slice"},
    "metadata": {"type": "object", "description": "for gates over a slice"},
    "accept": {
        "type": "object",
        "additionalProperties": {"type": "array"},
        "description": "JSON path to other values that are right",
    },
}


FOLDER = ".schemas"
"""Where `init` writes the schemas, next to the eval sets."""


def editor_schemas(*, installed: Iterable[str] | None = None) -> dict[str, bytes]:
    """The content of each schema file by its name; for `installed` see `settings_schema`."""
    schemas = {"settings.json": settings_schema(installed=installed), "case.json": line_schema()}
    return {
        name: (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode() for name, schema in schemas.items()
    }


def line_schema() -> dict[str, Any]:
    """The schema of a line of `NAME.jsonl`; lines in the shapes of training data are not described."""
    shapes = [
        {
            "type": "object",
            "required": ["messages"] if key == "messages" else ["input"] if key == "expected" else ["input", key],
            "properties": {**properties, **_COMMON},
            "additionalProperties": False,
        }
        for key, properties in _SHAPES.items()
    ]
    return {"$schema": DIALECT, "title": "A case of an eval set of pytest-finetune", "anyOf": shapes}


def settings_schema(*, installed: Iterable[str] | None = None) -> dict[str, Any]:
    """
    The schema of `NAME.toml`.

    Args:
        installed: Names of scorers from other packages; by default those that are installed.
    """
    others = tuple(installed_scorers() if installed is None else installed)
    schema: dict[str, Any] = _tidy(EvalSettings.model_json_schema(by_alias=True))
    properties = schema["properties"]
    del properties["scorer_options"]
    names = [*built_in_scorers(), *others]
    name = {"anyOf": [{"enum": names}, {"type": "string", "pattern": _FUNCTION}]}
    about = "how answers are judged: a name, package.module:function, or a table with its type and its own settings"
    tables = list(_scorer_tables(others, lambda key: key not in _TABLE_ONLY))
    properties["scorer"] = {"description": about, "default": "exact", "anyOf": [*name["anyOf"], *tables]}
    properties["scorers"]["items"] = {"anyOf": list(_scorer_tables(others, lambda key: key != "type"))}
    properties["gates"]["items"] = {"anyOf": properties["gates"]["items"].pop("oneOf")}
    definitions = schema["definitions"] = schema.pop("$defs")
    del definitions["ScorerSettings"]
    definitions["BarGate"]["oneOf"] = [{"required": ["min"]}, {"required": ["max"]}]
    for definition in definitions.values():
        if "metric" in definition["properties"]:
            definition["properties"]["metric"] |= {"enum": list(METRICS)}
    return {"$schema": DIALECT, **schema, "title": "Settings of an eval set of pytest-finetune"}


def _scorer_tables(others: Iterable[str], wanted: Callable[[str], bool]) -> Iterable[dict[str, Any]]:
    """A table for each scorer, with the shared settings that it reads and its own."""
    shared = {key: value for key, value in _properties(ScorerSettings).items() if wanted(key)}
    for name in built_in_scorers():
        scorer = scorer_class(name)
        read = {key: value for key, value in shared.items() if key in scorer.settings or key in _TABLE_ONLY}
        options = _properties(scorer.options) if scorer.options else {}
        yield _table({"const": name}, read | options, open_to_more=False)
    yield _table({"anyOf": [{"type": "string", "pattern": _FUNCTION}, {"enum": [*others]}]}, shared, open_to_more=True)


def _table(kind: Mapping[str, Any], properties: Mapping[str, Any], *, open_to_more: bool) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type"],
        "properties": {**properties, "type": kind},
        "additionalProperties": open_to_more,
    }


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return {key: _inlined(_tidy(value), schema.get("$defs", {})) for key, value in schema["properties"].items()}


def _inlined(value: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if reference := value.get("$ref"):
        return _inlined(_tidy(definitions[reference.rpartition("/")[2]]), definitions)
    return {key: _inlined(item, definitions) for key, item in value.items()}


def _tidy(value: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Without what a TOML file cannot hold, null, and without the titles that pydantic makes of names."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value.replace("#/$defs/", "#/definitions/") if isinstance(value, str) else value
    if isinstance(value.get("description"), str):
        value = {**value, "description": value["description"].partition("\n\n")[0]}
    kept = {key: _tidy(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    if kept.get("default", ...) is None:
        del kept["default"]
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**{key: item for key, item in kept.items() if key != "anyOf"}, **choices[0]}
    return kept | ({"anyOf": choices} if choices else {})
