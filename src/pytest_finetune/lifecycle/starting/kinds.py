"""What a model answers with, found in its answers, and what follows from that: labels and a schema."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, get_args

from pytest_finetune.base.strict_json import JsonFault, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AnswerKind = Literal["label", "json", "tool_call", "sql", "text"]
ANSWER_KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)

MAX_LABELS = 30
LONGEST_LABEL = 40
"""Characters of a label."""

SHORT_TEXT = 40
"""Median length in characters up to which texts are compared for equality, and not by the words they share."""

_SQL = re.compile(r"\s*(?:select|with|insert|update|delete)\b", re.IGNORECASE)
_PER_VALUE = 10
"""Values of a text per distinct one from which a schema allows no others."""

_PER_LABEL = 3
"""Rows per label from which answers that repeat are labels."""


def kind_of(answers: Sequence[Mapping[str, Any]]) -> AnswerKind:
    """What kind of answer a sequence of assistant messages shows; `text` if no other kind fits all of them."""
    if all(answer.get("tool_calls") for answer in answers):
        return "tool_call"
    texts = [message_text(answer) for answer in answers]
    if all(isinstance(json_value(text), dict | list) for text in texts):
        return "json"
    if all(_SQL.match(text) for text in texts):
        return "sql"
    labels = labels_in(texts)
    few = len(labels) <= MAX_LABELS and len(labels) * _PER_LABEL <= len(texts)
    return "label" if few and all(label and len(label) <= LONGEST_LABEL for label in labels) else "text"


def message_text(answer: Mapping[str, Any]) -> str:
    """The text of an assistant message; empty if it has none."""
    content = answer.get("content")
    return content if isinstance(content, str) else ""


def json_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of a text; None if it is not strict JSON."""
    try:
        return parse_json(text)
    except JsonFault:
        return None


def labels_in(texts: Sequence[str]) -> list[str]:
    """The distinct answers, the most frequent first; white space around them and capitals do not count."""
    counts: Counter[str] = Counter()
    spelt: dict[str, str] = {}
    for text in texts:
        key = text.strip().casefold()
        spelt.setdefault(key, text.strip())
        counts[key] += 1
    return [spelt[key] for key, _ in counts.most_common()]


def is_short(texts: Sequence[str]) -> bool:
    """Whether typical answers are short enough to be compared for equality."""
    return median(len(text.strip()) for text in texts) <= SHORT_TEXT


def draft_schema(values: Sequence[Any]) -> dict[str, Any]:
    """
    A JSON Schema that all of some values satisfy.

    Keys that every object has are required, and no others are allowed. Texts are an `enum` where a few repeat. It is
    a draft from examples: what they do not show is refused.
    """
    found = [_type(value) for value in values]
    types = list(dict.fromkeys(found))
    if types == ["object"]:
        return _object_schema(values)
    if types == ["array"]:
        items = [item for value in values for item in value]
        return {"type": "array", "items": draft_schema(items)} if items else {"type": "array"}
    if "object" in types or "array" in types:
        parts = [[value for value, each in zip(values, found, strict=True) if each == name] for name in types]
        return {"anyOf": [draft_schema(part) for part in parts]}
    if set(types) == {"integer", "number"}:
        types = ["number"]
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    distinct = set(values)
    if types == ["string"] and 1 < len(distinct) <= MAX_LABELS and len(distinct) * _PER_VALUE <= len(values):
        schema["enum"] = sorted(distinct)
    return schema


def _object_schema(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for value in values for name in value))
    return {
        "type": "object",
        "properties": {name: draft_schema([value[name] for value in values if name in value]) for name in names},
        "required": [name for name in names if all(name in value for value in values)],
        "additionalProperties": False,
    }


def _type(value: object) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"
