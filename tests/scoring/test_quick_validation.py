"""The quick yes for valid answers: never for one that the reference refuses, nor for schemas with doubtful words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.verdicts.json_schema.quick import quick_check
from pytest_finetune.verdicts.json_schema.validation import Schema, compile_schema

pytest.importorskip("jsonschema_rs")

KEYS = st.sampled_from(["a", "b", "", "é"])
TEXTS = st.text(max_size=3) | st.sampled_from(["\ud800", "😀", "e\u0301"])
NUMBERS = (
    st.integers(-3, 3)
    | st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300, 2**53, -(2**53) - 1, 2**63, 2**64, 10**30, 9007199254740993.0])
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
BOUNDS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2**53 - 1, 2**53, 1e300])
SIZES = st.integers(0, 3)


def with_parts(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "const": VALUES,
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "properties": st.dictionaries(KEYS, inner, max_size=2),
            "required": st.lists(KEYS, max_size=2, unique=True),
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": some,
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.sampled_from(["#/$defs/one", "#/$defs/two"]),
            "description": st.just("a text"),
            **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), BOUNDS),
            **dict.fromkeys(
                ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), SIZES
            ),
        },
    )


SCHEMAS = st.recursive(st.booleans() | with_parts(st.booleans()), with_parts, max_leaves=5)
DIALECTS = {
    "Draft202012Validator": "https://json-schema.org/draft/2020-12/schema",
    "Draft201909Validator": "https://json-schema.org/draft/2019-09/schema",
    "Draft7Validator": "http://json-schema.org/draft-07/schema#",
}


@given(SCHEMAS, SCHEMAS, VALUES, st.sampled_from(list(DIALECTS)))
def test_a_quick_yes_is_the_reference_s_too(schema: object, one: object, value: object, dialect: str) -> None:
    if not isinstance(schema, dict):
        return
    contents = {**schema, "$defs": {"one": one, "two": {"type": "integer"}}, "$schema": DIALECTS[dialect]}
    quick = quick_check(contents, dialect)
    if quick is not None and quick(value):
        assert reference(contents).fault(value) is None


def reference(contents: object) -> Schema:
    schema = compile_schema(contents, "a test")
    schema._quick = None
    return schema


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 0}}}, {"a": 1}),
        ({"$defs": {"x": {"enum": ["a", "b"]}}, "type": "array", "items": {"$ref": "#/$defs/x"}}, ["a", "b"]),
        ({"anyOf": [{"type": "string", "maxLength": 1}, {"type": "null"}], "title": "T", "default": None}, "😀"),
    ],
)
def test_plain_schemas_have_one(schema: object, value: object) -> None:
    quick = quick_check(schema, "Draft202012Validator")
    assert quick is not None
    assert quick(value)
    assert not quick({"b": 3})


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^a"},
        {"format": "date"},
        {"uniqueItems": True},
        {"multipleOf": 0.01},
        {"maximum": 2**53},
        {"const": [2**60]},
        {"items": [{"type": "string"}]},
        {"x-mine": 1},
        {"nullable": True},
        {"$ref": "#"},
        {"$ref": "#/properties/a", "properties": {"a": {}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}},
        {"$ref": "#/$defs/a", "type": "string", "$defs": {"a": {}}},
        {"properties": {"a": {"anyOf": [{"not": {"propertyNames": {"maxLength": 3}}}]}}},
        {"allOf": [{"enum": list("ab")}] * 2001},
        {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}] * 60}, "b": {"allOf": [{}] * 60}}, "$ref": "#/$defs/a"},
    ],
)
def test_what_may_be_read_otherwise_or_take_long_is_left_to_the_reference(schema: object) -> None:
    assert quick_check(schema, "Draft202012Validator") is None


def test_older_dialects_are_left_to_the_reference() -> None:
    assert quick_check({"type": "integer"}, "Draft4Validator") is None


def test_a_fault_is_explained_by_the_reference() -> None:
    fault = compile_schema({"type": "object", "required": ["label"]}, "a test").fault({})
    assert fault is not None
    assert (fault.path, fault.problem) == ("$.label", "missing key")
