"""A misspelt schema keyword would be ignored, and everything would be valid: the schema is refused."""

from __future__ import annotations

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.json_schema.validation import compile_schema


@pytest.mark.parametrize(
    ("schema", "keyword", "place"),
    [
        ({"propertys": {}}, "properties", "$"),
        ({"Type": "object"}, "type", "$"),
        ({"min_length": 1}, "minLength", "$"),
        ({"any_of": [{}]}, "anyOf", "$"),
        ({"ref": "#/$defs/a"}, "$ref", "$"),
        ({"properties": {"a": {"enumm": [1]}}}, "enum", "$.properties.a"),
        ({"items": {"additionalproperties": False}}, "additionalProperties", "$.items"),
        ({"anyOf": [{}, {"minlength": 1}]}, "minLength", "$.anyOf[1]"),
        ({"$defs": {"a": {"tpye": "object"}}}, "type", "$.$defs.a"),
        ({"not": {"maximun": 1}}, "maximum", "$.not"),
        ({"patternProperties": {"^a": {"mutlipleOf": 2}}}, "multipleOf", '$.patternProperties["^a"]'),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "dependancies": {}}, "dependencies", "$"),
    ],
    ids=str,
)
def test_a_near_miss_of_a_keyword_is_an_error(schema, keyword, place):
    with pytest.raises(ScorerError) as caught:
        compile_schema(schema, "s.json")
    assert caught.value.where == f"s.json: {place}"
    assert caught.value.hint.startswith(f"did you mean {keyword!r}?")


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"requierd": {}, "enumm": {}}},
        {"$defs": {"propertys": {}}, "definitions": {"minlength": {}}, "dependentSchemas": {"tpye": {}}},
        {"patternProperties": {"enumm": {}}},
        {"enum": [{"requierd": 1}], "const": {"requierd": 1}, "default": {"enumm": 1}, "examples": [{"tpye": 1}]},
        {"x-requierd": 1, "title": "a", "$comment": "b", "description": "c", "deprecated": True},
    ],
    ids=str,
)
def test_names_and_values_and_annotations_are_not_taken_for_keywords(schema):
    assert compile_schema(schema, "s.json").warnings == ()


@pytest.mark.parametrize(
    "word",
    [
        *("nullable", "discriminator", "example", "xml", "externalDocs", "strict", "note", "enumNames"),
        *("dependencies", "divisibleBy", "extends", "label", "name", "unit", "constraints"),
    ],
)
def test_other_unknown_words_are_only_warned_of(word):
    (warning,) = compile_schema({word: {}}, "s.json").warnings
    assert f"unknown keyword {word!r} is ignored" in warning
