from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.json_schema import pattern
from pytest_finetune.verdicts.json_schema.validation import compile_schema, load_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.json_schema.validation import Schema

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
VARIANTS = {
    "anyOf": [
        {"required": ["kind", "size"], "properties": {"kind": {"const": "box"}, "size": {"type": "integer"}}},
        {"required": ["kind", "side"], "properties": {"kind": {"const": "cube"}, "side": {"type": "integer"}}},
    ]
}


def fault(schema: Any, value: Any) -> tuple[FormatFailure, str] | None:
    return fault_by(compile_schema(schema, "x.json"), value)


def fault_by(compiled: Schema, value: Any) -> tuple[FormatFailure, str] | None:
    found = compiled.fault(value)
    return (found.kind, found.path) if found else None


@pytest.mark.parametrize(
    ("schema", "value", "kind", "path"),
    [
        ({"required": ["a"]}, {}, FormatFailure.MISSING_KEY, "$.a"),
        ({"properties": {"s": {"required": ["c"]}}}, {"s": {}}, FormatFailure.MISSING_KEY, "$.s.c"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, FormatFailure.MISSING_KEY, "$"),
        ({"additionalProperties": False}, {"z": 1}, FormatFailure.EXTRA_KEY, "$.z"),
        ({"unevaluatedProperties": False}, {"z": 1}, FormatFailure.EXTRA_KEY, "$"),
        ({"propertyNames": {"pattern": "^a"}}, {"z": 1}, FormatFailure.EXTRA_KEY, "$.z"),
        ({"properties": {"z": False}}, {"z": 1}, FormatFailure.EXTRA_KEY, "$.z"),
        ({"additionalProperties": {"type": "null"}}, {"z": 1}, FormatFailure.WRONG_TYPE, "$.z"),
        ({"patternProperties": {"^z": {"type": "null"}}}, {"z": 1}, FormatFailure.WRONG_TYPE, "$.z"),
        ({"items": {"type": "string"}}, ["a", 1], FormatFailure.WRONG_TYPE, "$[1]"),
        ({"type": "integer"}, True, FormatFailure.WRONG_TYPE, "$"),
        ({"type": "integer"}, 1.5, FormatFailure.WRONG_TYPE, "$"),
        ({"enum": ["a", 1]}, True, FormatFailure.NOT_IN_ENUM, "$"),
        ({"const": 1}, True, FormatFailure.NOT_IN_ENUM, "$"),
        ({"minimum": 1}, 0, FormatFailure.OUT_OF_RANGE, "$"),
        ({"exclusiveMaximum": 1}, 1, FormatFailure.OUT_OF_RANGE, "$"),
        ({"maxLength": 1}, "ab", FormatFailure.OUT_OF_RANGE, "$"),
        ({"minItems": 1}, [], FormatFailure.OUT_OF_RANGE, "$"),
        ({"multipleOf": 0.01}, 0.071, FormatFailure.OUT_OF_RANGE, "$"),
        ({"pattern": "^[a-z]+$"}, "a1", FormatFailure.PATTERN, "$"),
        ({"format": "date"}, "2026-02-30", FormatFailure.PATTERN, "$"),
        ({"format": "email"}, "x", FormatFailure.PATTERN, "$"),
        ({"uniqueItems": True}, [1, True, 1.0], FormatFailure.OTHER, "$[2]"),
        ({"not": {}}, 1, FormatFailure.OTHER, "$"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, FormatFailure.WRONG_TYPE, "$"),
        (VARIANTS, {"kind": "cube", "side": "1"}, FormatFailure.WRONG_TYPE, "$.side"),
        (VARIANTS, {"kind": "cube"}, FormatFailure.MISSING_KEY, "$.side"),
        (VARIANTS, {"kind": "ball"}, FormatFailure.NOT_IN_ENUM, "$"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, FormatFailure.OTHER, "$"),
    ],
)
def test_a_fault_is_named_and_located(schema: Any, value: Any, kind: Any, path: str) -> None:
    assert fault(schema, value) == (kind, path)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1.0),
        ({"multipleOf": 0.01}, 0.07),
        ({"multipleOf": 0.1}, 10**400),
        ({"uniqueItems": True}, [1, True, [1], {"a": 1}, {"a": True}, "1", None]),
        ({"pattern": "b"}, "abc"),
        ({"pattern": r"^\p{L}+$"}, "Straße"),
        ({"format": "iri"}, "https://例え.jp/ä?q=é"),
        ({"$defs": {"a": {"type": "integer"}}, "$ref": "#/$defs/a"}, 1),
        ({"$schema": DRAFT_7, "definitions": {"a": {"type": "integer"}}, "$ref": "#/definitions/a"}, 1),
        ({"$id": "https://example.com/a", "$defs": {"x": {}}, "$ref": "https://example.com/a#/$defs/x"}, 1),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "object"}),
        (True, {"any": "thing"}),
    ],
)
def test_a_valid_value_has_no_fault(schema: Any, value: Any) -> None:
    assert fault(schema, value) is None


def test_the_reported_fault_does_not_depend_on_the_order_of_keys() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    assert fault(schema, {"b": 1, "a": 2, "c": 3}) == fault(schema, {"c": 3, "a": 2, "b": 1})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(x+x+)+y"},
        {"not": {"pattern": "(x+x+)+y"}},
        {"anyOf": [{"pattern": "(x+x+)+y"}, True]},
    ],
)
def test_a_pattern_that_never_ends_is_a_format_failure(schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_schema(schema, "x.json")
    monkeypatch.setattr(pattern, "SECONDS", 0.05)
    assert fault_by(compiled, "x" * 5000) == (FormatFailure.PATTERN, "$")


def test_a_pattern_of_keys_that_never_ends_admits_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_schema({"patternProperties": {"(x+x+)+y": True}, "additionalProperties": False}, "x.json")
    monkeypatch.setattr(pattern, "SECONDS", 0.05)
    assert fault_by(compiled, {"x" * 5000: 1}) == (FormatFailure.PATTERN, "$")


@pytest.mark.parametrize(
    ("kind", "text", "valid"),
    [
        ("date-time", "2026-11-29T08:30:00Z", True),
        ("date-time", "2024-02-29t23:59:59.123456789z", True),
        ("date-time", "1998-12-31T23:59:60Z", True),
        ("date-time", "1998-12-31T15:59:60.5-08:00", True),
        ("date-time", "1999-01-01T00:29:60+00:30", True),
        ("date-time", "1998-12-31T23:58:60Z", False),
        ("date-time", "1998-12-31T23:59:60+01:00", False),
        ("date-time", "1998-12-31T23:59:61Z", False),
        ("date-time", "2026-02-29T08:30:00Z", False),
        ("date-time", "2026-11-29T24:00:00Z", False),
        ("date-time", "2026-11-29T08:30:00", False),
        ("date-time", "2026-11-29 08:30:00Z", False),
        ("date-time", "2026-11-29T08:30:00+0100", False),
        ("date-time", "2026-11-29T08:30:00+24:00", False),
        ("date-time", "2026-11-29T08:30:00.Z", False),
        ("date-time", "2026-11-29T08:30:00Z\n", False),
        ("date-time", "2026-W48-7T08:30:00Z", False),
        ("date-time", "20261129T08:30:00Z", False),
        ("date-time", "২০২৬-11-29T08:30:00Z", False),
        ("date-time", "", False),
        ("time", "08:30:00Z", True),
        ("time", "00:29:60+00:30", True),
        ("time", "08:30:00", False),
        ("time", "8:30:00Z", False),
        ("time", "08:30Z", False),
    ],
)
def test_dates_and_times_are_those_of_rfc_3339(kind: str, text: str, valid: Any) -> None:
    assert (compile_schema({"format": kind}, "x.json").fault(text) is None) == valid


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "library", "since"),
    [
        ("hostname", "fqdn", 4),
        ("uri", "rfc3986_validator", 4),
        ("uri-reference", "rfc3986_validator", 6),
        ("uri-template", "uri_template", 6),
        ("json-pointer", "jsonpointer", 6),
        ("relative-json-pointer", "jsonpointer", 7),
        ("iri", "rfc3986_validator", 7),
        ("duration", "isoduration", 2019),
    ],
)
def test_a_format_without_its_library_is_refused_by_the_dialects_that_define_it(
    name: str, library: str, since: int
) -> None:
    script = f"""
import sys
sys.modules[{library!r}] = None
from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.json_schema.validation import compile_schema
for dialect in ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12"):
    kind = "http://json-schema.org/%s/schema#" if "draft" in dialect else "https://json-schema.org/draft/%s/schema"
    try:
        print(dialect, len(compile_schema({{"$schema": kind % dialect, "format": {name!r}}}, "x.json").warnings))
    except ScorerError as error:
        print(dialect, error.problem, "|", error.hint)
    compile_schema({{"$schema": kind % dialect, "format": "date-time"}}, "x.json")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for line in ran.stdout.splitlines():
        dialect, said = line.split(" ", 1)
        if int(dialect.removeprefix("draft-").split("-")[0]) < since:
            assert said == "1"
        else:
            assert said == (
                f"format {name!r} cannot be checked, its library is not installed | "
                "pip install 'pytest-finetune[formats]'"
            )


@pytest.mark.parametrize("kind", ["iri", "iri-reference", "uri", "regex", "uri-template", "idn-hostname", "duration"])
@pytest.mark.parametrize("unit", ["a", "a@", "[", "(a{99}){99}", "é", "\ud800", "1", "%"])
def test_no_text_hangs_a_format_check(kind: Any, unit: Any) -> None:
    """The library's own IRI check took half a minute for the first of these."""
    started = time.process_time()
    compile_schema({"format": kind}, "x.json").fault(unit * 20_000)
    assert time.process_time() - started < 5


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a socket was opened"))
    for reference in (
        "http://127.0.0.1:9/x.json",
        "https://example.com/x",
        "file:///etc/passwd",
        "other.json",
        "urn:x",
    ):
        with pytest.raises(ScorerError, match="nothing is ever fetched") as caught:
            compile_schema({"properties": {"a": {"$ref": reference}}}, "x.json")
        assert caught.value.where == "x.json: $.properties.a.$ref"


@pytest.mark.parametrize(
    ("schema", "problem", "place"),
    [
        ({"$ref": "#"}, "without end", "x.json"),
        ({"$ref": "#/$defs/no"}, "leads nowhere", "$.$ref"),
        ({"$comment": "hi", "$ref": "#/$comment"}, "does not lead to a schema", "$.$ref"),
        ({"x-parts": {"a": {"type": "nope"}}, "$ref": "#/x-parts/a"}, "'nope' is not valid", "$.type"),
        ({"properties": {"a": {"type": "objct"}}}, "not a JSON Schema", "$.properties.a.type"),
        ({"items": {"pattern": "("}}, "is not an ECMA pattern", "$.items"),
        ({"$schema": "http://example.com/mine"}, "unknown dialect", "x.json"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "unknown dialect", "x.json"),
        ({"patternProperties": {"a": True}, "unevaluatedProperties": False}, "is next to", "$"),
        ([], "an object, true or false", "x.json"),
    ],
)
def test_a_schema_that_cannot_judge_is_refused(schema: Any, problem: str, place: str) -> None:
    with pytest.raises(ScorerError) as caught:
        compile_schema(schema, "x.json")
    assert problem in caught.value.problem
    assert place in caught.value.where


@pytest.mark.parametrize(
    "schema", [{"$schema": f"http://json-schema.org/draft-0{n}/schema#", "type": "null"} for n in (4, 6, 7)]
)
def test_the_named_dialect_is_honoured(schema: Any) -> None:
    assert fault(schema, 1) == (FormatFailure.WRONG_TYPE, "$")


def test_unknown_words_are_ignored_with_a_warning(scorer: Callable[..., Any]) -> None:
    made = scorer("json", schema={"properties": {"a": {"shape": [], "format": "plumage", "x-note": 1, "nullable": 1}}})
    shape, nullable, form = made.warnings
    assert shape.endswith("$.properties.a: unknown keyword 'shape' is ignored")
    assert nullable.endswith("unknown keyword 'nullable' is ignored")
    assert form.endswith("unknown format 'plumage' is not checked")


@pytest.mark.parametrize(
    ("schema", "word", "meant"),
    [
        ({"type": "object", "requierd": ["label"]}, "requierd", "required"),
        ({"propertys": {"a": True}}, "propertys", "properties"),
        ({"properties": {"a": {"minlength": 3}}}, "minlength", "minLength"),
        ({"additionalproperties": False}, "additionalproperties", "additionalProperties"),
        ({"items": {"enumm": [1]}}, "enumm", "enum"),
        ({"anyOf": [{"Type": "string"}]}, "Type", "type"),
        ({"$defs": {"a": {"constant": 1}}}, "constant", "const"),
        ({"if": {"patern": "a"}}, "patern", "pattern"),
        ({"defs": {}}, "defs", "$defs"),
        ({"properties": {"a": {"format": "datetime"}}}, "datetime", "date-time"),
        ({"format": "emial"}, "emial", "email"),
    ],
)
def test_a_misspelt_keyword_or_format_is_a_fault(
    scorer: Callable[..., Any], schema: Any, word: str, meant: str
) -> None:
    with pytest.raises(ScorerError, match=word) as caught:
        scorer("json", schema=schema)
    assert f"did you mean {meant!r}?" in caught.value.hint


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"requierd": {"type": "string"}, "minlength": {}}},
        {"const": {"typ": 1}, "default": {"requierd": 1}, "examples": [{"propertys": 1}], "enum": [{"itmes": 1}]},
        {"example": "a", "nullable": True, "discriminator": {}, "markdownDescription": "b"},
        {"properties": {"id": {"format": "uuid4"}, "n": {"format": "int32"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"type": "string"}}},
    ],
)
def test_names_values_and_foreign_keywords_are_not_misspellings(scorer: Callable[..., Any], schema: Any) -> None:
    scorer("json", schema=schema)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"{", "not JSON"), (b"\xff", "not UTF-8"), (b'{"a": 1, "a": 2}', "is repeated"), (None, "cannot be read")],
)
def test_an_invalid_schema_file_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScorerError, match=problem) as caught:
        load_schema(path)
    assert caught.value.where == str(path)


def test_the_schema_scorer_checks_only_validity(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("schema", schema={"type": "object", "required": ["a"]})
    assert made.check(case()) is None
    score = made.score(case(), Completion('{"a": [1, "x", 2]}'))
    assert score.passed
    assert json.loads(score.shape) == {"a": ["number", "string"]}
    assert made.score(case(), Completion("{}")).path == "$.a"
    assert made.score(case(), Completion("x")).format_failure is FormatFailure.NOT_JSON


def test_the_schema_scorer_needs_a_schema(scorer: Callable[..., Any]) -> None:
    with pytest.raises(ScorerError, match="needs a schema"):
        scorer("schema")


@pytest.mark.parametrize("branches", [[False, {"type": "object"}], [False, False], [{"type": "object"}, False]])
@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_an_alternative_that_nothing_fits_is_no_error_of_the_scorer(scorer, case, keyword, branches):
    score = scorer("schema", schema={keyword: branches}).score(case("{}"), Completion("5"))
    assert (score.passed, score.undecided) == (False, False)


def test_an_answer_nested_too_deeply_to_validate_is_undecided(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    score = scorer("schema", schema={"type": "array"}).score(case(), Completion("[" * 900 + "]" * 900))
    assert (score.passed, score.undecided, score.format_failure) == (False, True, FormatFailure.NOT_JSON)
