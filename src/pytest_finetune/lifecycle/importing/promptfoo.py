"""promptfoo's configuration: one prompt, tests with variables, and assertions of one kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json, compact_json
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.importing.answers import plain_messages
from pytest_finetune.lifecycle.importing.foreign import ForeignCase, Format, NotCarried, list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions

    _Skip = Callable[[int, str], None]

_SETTINGS: dict[str, dict[str, Any]] = {
    "equals": {"scorer": "exact", "normalize": []},
    "contains": {"scorer": "contains", "normalize": []},
    "contains-any": {"scorer": "contains", "normalize": []},
    "icontains": {"scorer": "contains", "normalize": ["casefold"]},
    "icontains-any": {"scorer": "contains", "normalize": ["casefold"]},
    "regex": {"scorer": "regex"},
    "is-json": {"scorer": "schema"},
    "not-equals": {"scorer": {"type": "not", "of": "exact"}, "normalize": []},
    "not-contains": {"scorer": {"type": "not", "of": "contains"}, "normalize": []},
    "not-icontains": {"scorer": {"type": "not", "of": "contains"}, "normalize": ["casefold"]},
    "not-regex": {"scorer": {"type": "not", "of": "regex"}},
}
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_LOGIC = re.compile(r"\{%|\{\{[^}]*[|(]")


def _read(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    for row in rows:
        config = row.value
        prompt = options.prompt or _the_prompt(config.get("prompts"), findings)
        default = object_of(config.get("defaultTest"))
        tests = config["tests"]
        kind = ""
        for number, test in enumerate(tests if isinstance(tests, list) else [tests], 1):
            try:
                wanted, expected = _assertion(test, default, findings)
                if wanted == "is-json":
                    _take_schema(expected, findings)
                if kind and wanted != kind:
                    raise NotCarried(f"it asserts {wanted!r}, and this set scores {kind!r}: import it apart")  # noqa: TRY301
                case = _case(test, default, prompt, expected)
            except NotCarried as reason:
                skip(row.line, f"test {number}: {reason}")
                continue
            kind = wanted
            findings.settings |= _SETTINGS[kind]
            yield ForeignCase(row.line, case)


def _the_prompt(prompts: object, findings: Findings) -> str | list[dict[str, Any]]:
    """The first prompt; the others are reported."""
    given = prompts if isinstance(prompts, list) else [prompts]
    for other in given[1:]:
        findings.not_carried[
            f"prompt {str(_raw(other))[:40]!r}: a set has one prompt; import it again with --prompt"
        ] += 1
    raw = _raw(given[0]) if given else None
    if not isinstance(raw, str) or not raw.strip():
        return ""
    if raw.startswith("file://"):
        return ""
    try:
        parsed = parse_json(raw)
    except JsonFault:
        return raw
    return parsed if isinstance(parsed, list) else raw


def _raw(prompt: object) -> object:
    return prompt.get("raw") or prompt.get("id") if isinstance(prompt, dict) else prompt


def _assertion(test: object, default: Mapping[str, Any], findings: Findings) -> tuple[str, list[Any]]:
    """The kind of the first assertion that has an equal scorer, and the expected answers; the others are reported."""
    if not isinstance(test, dict):
        raise NotCarried("it is not written in the file itself; put its tests there")
    found: tuple[str, list[Any]] | None = None
    given = [*list_of(default.get("assert")), *list_of(test.get("assert"))]
    for each in given:
        kind = str(each.get("type", "")) if isinstance(each, dict) else ""
        value = each.get("value") if isinstance(each, dict) else None
        if kind == "is-json" and value is None:
            value = {}
        if kind not in _SETTINGS or value in (None, "", []) or str(value).startswith("file://"):
            findings.not_carried[f"assertion {kind!r}: no equal scorer"] += 1
        elif found is not None:
            findings.not_carried[f"assertion {kind!r}: a case has one; the first one was taken"] += 1
        else:
            found = kind, value if isinstance(value, list) else [value]
    if found is None:
        raise NotCarried("it has no assertion with an equal scorer")
    variables = _variables(test, default)
    return found[0], [_filled(each, variables) if isinstance(each, str) else each for each in found[1]]


def _take_schema(given: list[Any], findings: Findings) -> None:
    """Use the schema of an assertion for the whole set, which has one."""
    schema = given.pop()
    if isinstance(schema, str):
        try:
            schema = parse_json(schema)
        except JsonFault:
            raise NotCarried("its schema is not JSON") from None
    if not isinstance(schema, dict):
        raise NotCarried("its schema is not an object")
    if findings.schema is not None and canonical_json(schema) != canonical_json(findings.schema):
        raise NotCarried("its schema differs from the one of the tests before: import it apart")
    findings.schema = schema


def _case(
    test: Mapping[str, Any], default: Mapping[str, Any], prompt: str | list[dict[str, Any]], expected: list[Any]
) -> dict[str, Any]:
    if not prompt:
        raise NotCarried("the prompt is not written in the file itself: name it with --prompt")
    variables = _variables(test, default)
    sent: Any
    if isinstance(prompt, str):
        sent = _filled(prompt, variables)
    else:
        sent = [
            {**each, "content": _filled(each["content"], variables)} if isinstance(each.get("content"), str) else each
            for each in plain_messages(prompt)
        ]
    about = {"description": test.get("description"), **object_of(test.get("metadata"))}
    metadata = {key: value for key, value in about.items() if value is not None}
    return {"input": sent} | ({"expected": expected} if expected else {}) | ({"metadata": metadata} if metadata else {})


def _variables(test: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    return {**object_of(default.get("vars")), **object_of(test.get("vars"))}


def _filled(template: str, variables: Mapping[str, Any]) -> str:
    if _LOGIC.search(template):
        raise NotCarried("the template has filters or statements, which are not portable")

    def text(match: re.Match[str]) -> str:
        value: Any = variables
        for step in match[1].split("."):
            if not isinstance(value, dict) or step not in value:
                raise NotCarried(f"the test has no variable {match[1]!r}")
            value = value[step]
        if isinstance(value, str) and value.startswith("file://"):
            raise NotCarried(f"the variable {match[1]!r} is in another file")
        if isinstance(value, list):
            raise NotCarried(f"the variable {match[1]!r} is a list, which stands for several tests")
        return value if isinstance(value, str) else compact_json(value)

    return _VARIABLE.sub(text, template)


def _is_promptfoo(row: Mapping[str, Any]) -> bool:
    return "prompts" in row and "tests" in row


FORMATS = (Format("promptfoo", "configuration of promptfoo", _is_promptfoo, _read),)
