"""promptfoo's configuration: one prompt, tests with variables, and assertions of one kind."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json, compact_json
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.importing.answers import plain_messages
from pytest_finetune.lifecycle.importing.foreign import ForeignCase, Format, NotCarried, fitting, object_of

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
    "regex": {"scorer": "regex", "normalize": []},
    "is-json": {"scorer": "schema"},
    "not-equals": {"scorer": {"type": "not", "of": "exact"}, "normalize": []},
    "not-contains": {"scorer": {"type": "not", "of": "contains"}, "normalize": []},
    "not-icontains": {"scorer": {"type": "not", "of": "contains"}, "normalize": ["casefold"]},
    "not-regex": {"scorer": {"type": "not", "of": "regex"}, "normalize": []},
}
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_MARKUP = re.compile(r"\{[{%#]")
_ELSEWHERE = re.compile(r"\w+://|\S+\.(txt|md|json|jsonl|ya?ml|j2|csv|py|[cm]?js|ts)(:\w+)?\s*$")
"""A prompt, or a value, that names a file or a service."""

_CHANGING_OPTIONS = ("transform", "postprocess", "prefix", "suffix", "disableDefaultAsserts", "transformVars")
"""Options of a test that change what is sent or scored."""


def _read(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    for row in fitting(rows, _is_promptfoo, skip):
        config = row.value
        prompt = options.prompt or _the_prompt(config.get("prompts"), findings)
        default = config.get("defaultTest")
        _report_unused(config, findings)
        tests = config["tests"]
        kind = ""
        for number, test in enumerate(tests if isinstance(tests, list) else [tests], 1):
            try:
                default = _default_test(default)
                wanted, expected = _assertion(test, default, findings)
                if kind and wanted != kind:
                    raise NotCarried(f"it asserts {wanted!r}, and this set scores {kind!r}: import it apart")  # noqa: TRY301
                if wanted == "is-json":
                    _take_schema(expected, findings)
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
    if _ELSEWHERE.match(raw):
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
    changing = {**object_of(default.get("options")), **object_of(test.get("options"))}
    if used := [name for name in _CHANGING_OPTIONS if changing.get(name)]:
        raise NotCarried(f"its option {used[0]!r} changes what is sent or scored")
    found: tuple[str, list[Any]] | None = None
    for each in [*_assertions(default), *_assertions(test)]:
        kind = str(each.get("type", ""))
        values = _values(each, kind)
        if not values:
            findings.not_carried[f"assertion {kind!r}: no equal scorer"] += 1
        elif found is not None:
            findings.not_carried[f"assertion {kind!r}: a case has one; the first one was taken"] += 1
        else:
            found = kind, values
    if found is None:
        raise NotCarried("it has no assertion with an equal scorer")
    variables = _variables(test, default)
    return found[0], [_filled(each, variables) if isinstance(each, str) else each for each in found[1]]


def _assertions(test: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = test.get("assert")
    if given is None:
        return []
    if not isinstance(given, list):
        raise NotCarried("its assertions are not a list")
    return list(map(object_of, given))


def _values(assertion: Mapping[str, Any], kind: str) -> list[Any]:
    """The values that an assertion accepts, or its schema; empty if no scorer means the same."""
    # A transformed answer is another one, and an assertion of weight 0 never fails.
    if kind not in _SETTINGS or assertion.get("transform") or assertion.get("weight", 1) == 0:
        return []
    value = assertion.get("value")
    if kind == "is-json":
        schema = {} if value is None else value
        return [] if str(schema).startswith("file://") else [schema]
    # promptfoo splits text at its commas for `-any`, and compares a list of `equals` as JSON.
    if isinstance(value, list) != kind.endswith("-any"):
        return []
    texts = [_plain(each) for each in (value if isinstance(value, list) else [value])]
    if any(not text or (_ELSEWHERE.match(text) and "://" in text) for text in texts):
        return []
    # promptfoo searches the answer for a pattern; here it must match all of it.
    return [rf"[\s\S]*(?:{text})[\s\S]*" for text in texts] if kind.endswith("regex") else texts


def _plain(value: object) -> str:
    """A value as promptfoo compares it; empty if it is not text or a number."""
    if isinstance(value, float) and not isfinite(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _default_test(value: object) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise NotCarried("defaultTest is not written in the file itself; put it there")
    return object_of(value)


def _report_unused(config: Mapping[str, Any], findings: Findings) -> None:
    """Report the parts of a configuration that change answers or verdicts and have no place in an eval set."""
    for key in ("scenarios", "extensions"):
        if config.get(key):
            findings.not_carried[f"{key}: not a part of an eval set"] += 1
    given = config.get("providers") or config.get("targets")
    for provider in given if isinstance(given, list) else [given]:
        if settings := object_of(object_of(provider).get("config")):
            name = shorten(str(object_of(provider).get("id", "")), 40)
            findings.not_carried[
                f"provider {name!r}: {shorten(', '.join(settings), 80)}; write what is sent under [request]"
            ] += 1


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
    if _MARKUP.search(_VARIABLE.sub("", template)):
        raise NotCarried("the template has expressions or statements, which are not portable")

    def text(match: re.Match[str]) -> str:
        value: Any = variables
        for step in match[1].split("."):
            if not isinstance(value, dict) or step not in value:
                raise NotCarried(f"the test has no variable {match[1]!r}")
            value = value[step]
        if isinstance(value, str) and value.startswith("file://"):
            raise NotCarried(f"the variable {match[1]!r} is in another file")
        if isinstance(value, str) and _MARKUP.search(value):
            raise NotCarried(f"the variable {match[1]!r} is a template itself")
        if isinstance(value, list):
            raise NotCarried(f"the variable {match[1]!r} is a list, which stands for several tests")
        return value if isinstance(value, str) else compact_json(value)

    return _VARIABLE.sub(text, template)


def _is_promptfoo(row: Mapping[str, Any]) -> bool:
    return "prompts" in row and "tests" in row


FORMATS = (Format("promptfoo", "configuration of promptfoo", _is_promptfoo, _read, frozenset({"prompt"})),)
