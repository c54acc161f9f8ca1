from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Completion, FormatFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

SCHEMA = {
    "type": "object",
    "required": ["name", "age"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
}


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ('{"a": 1}', '{"a": 1.0}'),
        ('{"a": 1, "b": [1, 2]}', ' {"b":[1,2],\n"a":1e0}\n'),
        ('{"a": null}', '{"a": null}'),
        ("[]", "[]"),
        ('"text"', '"t\\u0065xt"'),
        ("0", "-0.0"),
        ("true", "true"),
        ("100000000000000000000", "1e20"),
    ],
)
def test_equal_values_pass_however_they_are_written(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, answer: str
) -> None:
    assert scorer("json").score(case(expected), Completion(answer)).passed
    assert scorer("json").score(case(answer), Completion(expected)).passed


@pytest.mark.parametrize(
    ("expected", "answer", "detail"),
    [
        ({"a": 1}, '{"a": true}', "$.a: expected 1, got true"),
        ({"a": 0}, '{"a": false}', "$.a: expected 0, got false"),
        ({"a": 1}, '{"a": "1"}', '$.a: expected 1, got "1"'),
        ({"a": None}, "{}", "$.a: expected null, got nothing"),
        ({"slots": {"city": "Paris"}}, '{"slots": {"city": "paris"}}', '$.slots.city: expected "Paris", got "paris"'),
        ([1, 2], "[2, 1]", "$[0]: expected 1, got 2"),
        ([1], "[1, 1]", "$[1]: expected nothing, got 1"),
        ({}, "[]", "$: expected {}, got []"),
        ({"a": 1}, '{"a": 1, "two words": 2}', '$["two words"]: expected nothing, got 2'),
        ({"城市": 1}, '{"城市": 2}', "$.城市: expected 1, got 2"),
        (9007199254740993, "9007199254740992.0", "$: expected 9007199254740993, got 9007199254740992.0"),
    ],
)
def test_the_first_difference_is_reported_with_its_path(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, answer: str, detail: str
) -> None:
    score = scorer("json").score(case(expected), Completion(answer))
    assert (score.passed, score.format_failure) == (False, None)
    assert score.detail == detail
    assert score.path == detail.split(":", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("expected", "answer", "fields"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, '{"a": 1, "b": {"c": 2, "d": 4}}', (2, 3)),
        ({"a": 1}, '{"a": 1, "b": [1, 2]}', (1, 3)),
        ({"a": 1, "b": {"c": 2, "d": 3}}, '{"a": 1, "b": 2}', (1, 3)),
        ({"a": {}}, '{"a": {"b": 1}}', (0, 1)),
        ({"a": [], "b": 1}, '{"a": [], "b": 1}', (2, 2)),
        ({"a": 1, "b": 2}, "not JSON", (0, 2)),
        ({"a": 1, "b": 2}, "", (0, 2)),
    ],
)
def test_right_leaves_are_counted_and_extra_ones_are_wrong(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, answer: str, fields: Any
) -> None:
    assert scorer("json").score(case(expected), Completion(answer)).fields == fields


def test_the_nearest_expected_value_is_reported(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("json").score(case({"a": 1, "b": 1}, {"a": 2, "b": 2}), Completion('{"a": 2, "b": 3}'))
    assert score.detail == "$.b: expected 2, got 3"
    assert score.fields == (1, 2)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("", FormatFailure.EMPTY),
        ('```json\n{"a": 1}\n```', FormatFailure.FENCED),
        ("```\nnothing", FormatFailure.FENCED),
        ('Here you are: {"a": 1}', FormatFailure.WRAPPED),
        ('{"a": 1} I hope this helps!', FormatFailure.WRAPPED),
        ('{"a": 1}{"a": 1}', FormatFailure.WRAPPED),
        ('<think>so [1] it is</think> {"a": 1}', FormatFailure.WRAPPED),
        ("I'm sorry, I can't do that.", FormatFailure.REFUSAL),
        ("{'a': 1}", FormatFailure.NOT_JSON),
        ('{"a": 1,}', FormatFailure.NOT_JSON),
        ("The answer is 42", FormatFailure.NOT_JSON),
        ('\ufeff{"a": 1}', FormatFailure.WRAPPED),
        ('{"a": 1, "a": 1}', FormatFailure.DUPLICATE_KEY),
        ('{"a": NaN}', FormatFailure.NOT_FINITE),
        ('{"a": 1e999}', FormatFailure.NOT_FINITE),
        ("[" * 100_000, FormatFailure.NOT_JSON),
        ('{"a":' * 100_000, FormatFailure.NOT_JSON),
    ],
)
def test_why_strict_reading_failed_is_named(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str, failure: FormatFailure
) -> None:
    score = scorer("json").score(case({"a": 1}), Completion(answer))
    assert (score.passed, score.format_failure, score.shape) == (False, failure, "")


def test_broken_json_at_the_token_limit_is_truncated(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("json").score(case({"a": 1}), Completion('{"a": ', finish_reason="length"))
    assert score.format_failure is FormatFailure.TRUNCATED
    assert scorer("json").score(case({"a": 1}), Completion('{"a": 1}', finish_reason="length")).passed


def test_a_cut_value_that_is_still_json_is_truncated_under_a_schema(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    made = scorer("json", schema={"type": "integer", "minimum": 100})
    score = made.score(case(120), Completion("12", finish_reason="length"))
    assert score.format_failure is FormatFailure.TRUNCATED


def test_an_equal_answer_that_is_invalid_has_not_passed(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("json", schema=SCHEMA).score(case({"name": "Li"}), Completion('{"name": "Li"}'))
    assert (score.passed, score.format_failure, score.path) == (False, FormatFailure.MISSING_KEY, "$.age")
    assert score.fields == (1, 1)


def test_the_shape_keeps_the_order_of_the_answer(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("json", schema=SCHEMA).score(case({"name": "Li", "age": 3}), Completion('{"age": 3, "name": "Li"}'))
    assert score.passed
    assert score.shape == '{"age":"number","name":"string"}'


def test_strings_compare_exactly_without_normalization(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    answer = Completion('{"a": "paris "}')
    assert not scorer("json").score(case({"a": "Paris"}), answer).passed
    normalizing = scorer("json", normalize=["strip", "casefold"])
    assert normalizing.score(case({"a": "Paris"}), answer).passed
    assert not normalizing.score(case({"a": "Rome"}), answer).passed
    assert not normalizing.score(case({"a": 1}), Completion('{"a": true}')).passed


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ((), "no expected JSON value"),
        (("{'a': 1}",), "is not JSON"),
        (('{"a": 1, "a": 2}',), "is repeated"),
        (("[" * 5000 + "]" * 5000,), "nested too deeply"),
        (({"name": "Li", "age": "3"},), "does not satisfy the schema: $.age: expected integer or null"),
    ],
)
def test_an_unusable_expected_answer_is_found_when_the_set_is_loaded(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, problem: str
) -> None:
    assert problem in scorer("json", schema=SCHEMA).check(case(*expected))


def test_expected_text_is_json_text_and_any_other_value_itself(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    made = scorer("json")
    for expected in ('"Paris"', {"a": 1}, None, 3, [1]):
        assert made.check(case(expected)) is None
    assert made.score(case(None), Completion("null")).passed
    assert made.check(case("Paris"))


def test_deep_nesting_is_a_format_failure(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    deep = "[" * 800 + "]" * 800
    for made in (scorer("json"), scorer("json", schema={"items": {"$ref": "#"}})):
        score = made.score(case(json.dumps({"a": 1})), Completion(deep))
        assert not score.passed
        # Only this keeps `not` from passing an answer that was not compared.
        assert score.undecided
