from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Completion, FormatFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "additionalProperties": False,
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}
PARIS = ("weather", '{"city": "Paris", "days": 1}')


def test_equal_calls_pass_however_their_arguments_are_written(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS]), calling(("weather", '{"days":1.0,"city":"Paris"}')))
    assert score.passed
    assert score.fields == (2, 2)
    assert score.shape == '{"weather":{"days":"number","city":"string"}}'


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([("weather", '{"city": "Rome", "days": 1}')], ('$.weather.city: expected "Paris", got "Rome"', (1, 2))),
        ([PARIS, PARIS], ('$["weather#2"]: expected nothing, got {"city": "Paris", "days": 1}', (2, 4))),
        ([("time", "{}")], ('$.weather: expected {"city": "Paris", "days": 1}, got nothing', (0, 3))),
    ],
)
def test_other_calls_are_missed_and_valid(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    calling: Callable[..., Completion],
    calls: Any,
    expected: tuple[str, tuple[int, int]],
) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS]), calling(*calls))
    assert (score.passed, score.format_failure) == (False, None)
    assert (score.detail, score.fields) == expected


def test_order_matters(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    wanted = case(calls=[("a", "{}"), ("b", "{}")])
    assert scorer("tool_call").score(wanted, calling(("a", "{}"), ("b", "{}"))).passed
    score = scorer("tool_call").score(wanted, calling(("b", "{}"), ("a", "{}")))
    assert not score.passed
    assert "another order" in score.detail


def test_a_function_name_cannot_imitate_a_second_call(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    wanted = case(calls=[("f", "{}"), ("f", "{}")])
    assert not scorer("tool_call").score(wanted, calling(("f", "{}"), ("f", "{}"), ("f#2", "{}"))).passed
    assert (
        not scorer("tool_call")
        .score(
            wanted,
            calling(
                ("f", "{}"),
            ),
        )
        .passed
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"city": "Par', (FormatFailure.NOT_JSON, "$.weather")),
        ("", (FormatFailure.NOT_JSON, "$.weather")),
        ('{"city": "a", "city": "b"}', (FormatFailure.DUPLICATE_KEY, "$.weather")),
        ("[]", (FormatFailure.WRONG_TYPE, "$.weather")),
        ('{"days": 1}', (FormatFailure.MISSING_KEY, "$.weather.city")),
        ('{"city": "Paris", "unit": "C"}', (FormatFailure.EXTRA_KEY, "$.weather.unit")),
        ('{"city": 1}', (FormatFailure.WRONG_TYPE, "$.weather.city")),
    ],
)
def test_invalid_arguments_are_format_failures(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    calling: Callable[..., Completion],
    arguments: str,
    expected: tuple[FormatFailure, str],
) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS], tools=[WEATHER]), calling(("weather", arguments)))
    assert not score.passed
    assert (score.format_failure, score.path) == expected
    assert score.fields == (0, 2)


def test_an_unknown_tool_is_a_format_failure(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS], tools=[WEATHER]), calling(("wether", "{}")))
    assert (score.format_failure, score.path) == (FormatFailure.NOT_IN_ENUM, "$.wether")


def test_tools_of_the_settings_apply_if_the_case_has_none(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    made = scorer("tool_call", request={"tools": [WEATHER]})
    assert made.score(case(calls=[PARIS]), calling(("weather", "{}"))).format_failure is FormatFailure.MISSING_KEY


def test_a_schema_applies_to_the_arguments_of_every_call(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    made = scorer("tool_call", schema={"required": ["city"]})
    assert made.score(case(calls=[PARIS]), calling(("f", "{}"))).path == "$.f.city"


def test_text_instead_of_a_call_is_a_miss(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS]), Completion("It is sunny."))
    assert (score.passed, score.format_failure, score.fields) == (False, None, (0, 2))
    assert "got the text 'It is sunny.'" in score.detail


def test_a_call_instead_of_text_is_a_miss(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    made = scorer("tool_call")
    assert made.check(case("Which city?")) is None
    assert made.score(case("Which city?"), Completion("In which city?")).passed
    score = made.score(case("Which city?"), calling(PARIS))
    assert not score.passed
    assert score.detail == "expected no call, got weather"


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"refusal": "no"}, FormatFailure.REFUSAL),
        ({"finish_reason": "content_filter"}, FormatFailure.FILTERED),
    ],
)
def test_a_denied_answer_fails_though_it_calls(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    calling: Callable[..., Completion],
    fields: Any,
    failure: FormatFailure,
) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS]), calling(PARIS, **fields))
    assert (score.passed, score.format_failure) == (False, failure)


def test_arguments_cut_at_the_token_limit_are_truncated(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    score = scorer("tool_call").score(case(calls=[PARIS]), calling(("weather", '{"ci'), finish_reason="length"))
    assert score.format_failure is FormatFailure.TRUNCATED
    assert scorer("tool_call").score(case(calls=[PARIS]), Completion("")).format_failure is FormatFailure.EMPTY


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([], "no expected tool calls"),
        ([("weather", "{")], "$.weather: arguments are not JSON"),
        ([("weather", '{"city": 1}')], "$.weather.city: expected string"),
        ([("wether", "{}")], "there is no tool 'wether'"),
    ],
)
def test_unusable_expected_calls_are_found_when_the_set_is_loaded(
    scorer: Callable[..., Any], case: Callable[..., Case], calls: Any, problem: str
) -> None:
    assert problem in scorer("tool_call").check(case(calls=calls, tools=[WEATHER]))


def test_bad_parameters_of_a_tool_are_found_when_the_set_is_loaded(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "objct"}}}
    assert "parameters of tool 'f'" in scorer("tool_call").check(case(calls=[("f", "{}")], tools=[tool]))


def test_several_values_may_be_right_for_an_argument(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    made = scorer("tool_call")
    wanted = replace(
        case(calls=[PARIS], tools=[WEATHER]), accept={"$.weather.city": ("Paris, France",), "$.weather.days": (2, 3)}
    )
    assert made.check(wanted) is None
    for city, days, passed in (("Paris, France", 3, True), ("Paris", 1, True), ("Rome", 1, False), ("Paris", 4, False)):
        answer = calling(("weather", f'{{"city": "{city}", "days": {days}}}'))
        assert made.score(wanted, answer).passed is passed
    assert made.check(replace(wanted, accept={"$.weathr.city": ("x",)})) == (
        "accept: nothing is expected at $.weathr.city; did you mean '$.weather.city'?"
    )
    assert made.check(replace(case("text"), accept={"$.f": (1,)})) == "accept has no effect where no call is expected"


@pytest.mark.parametrize(
    ("table", "arguments", "passed"),
    [
        ({"optional": True}, '{"city": "Paris"}', True),
        ({"optional": True}, '{"city": "Paris", "days": 1}', True),
        ({"optional": True}, '{"city": "Paris", "days": 2}', False),
        ({"default": 1}, '{"city": "Paris"}', True),
        ({"default": 7}, '{"city": "Paris"}', False),
    ],
)
def test_an_argument_may_be_left_out(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    calling: Callable[..., Completion],
    table: dict[str, Any],
    arguments: str,
    *,
    passed: bool,
) -> None:
    made = scorer("tool_call", scorer_options={"fields": {"$.weather.days": table}})
    assert made.score(case(calls=[PARIS], tools=[WEATHER]), calling(("weather", arguments))).passed is passed
    # What holds for a function holds for its second call.
    twice = case(calls=[PARIS, PARIS])
    assert made.score(twice, calling(PARIS, ("weather", arguments))).passed is passed


A, B, C = ("f", '{"x": 1}'), ("f", '{"x": 2}'), ("g", "{}")


@pytest.mark.parametrize(
    ("calls", "passed"),
    [
        ([A, B, C], True),
        ([C, B, A], True),
        ([B, C, A], True),
        ([A, A, C], False),
        ([A, B], False),
        ([A, B, C, C], False),
        ([A, B, ("g", '{"y": 1}')], False),
    ],
)
def test_parallel_calls_may_come_in_any_order(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    calling: Callable[..., Completion],
    calls: list[tuple[str, str]],
    *,
    passed: bool,
) -> None:
    made = scorer("tool_call", scorer_options={"unordered": True})
    assert made.score(case(calls=[A, B, C]), calling(*calls)).passed is passed
    ordered = scorer("tool_call").score(case(calls=[A, B, C]), calling(*calls))
    assert ordered.passed is (calls == [A, B, C])


def test_only_the_wrong_one_of_unordered_calls_counts_as_wrong(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    made = scorer("tool_call", scorer_options={"unordered": True})
    score = made.score(case(calls=[A, B]), calling(("f", '{"x": 9}'), A))
    assert (score.wrong, score.fields) == (('$["f#2"].x',), (1, 2))
    score = made.score(case(calls=[A]), calling(B, A))
    assert (score.wrong, score.fields) == (('$["f#2"]',), (1, 2))
    score = made.score(case(calls=[A]), calling(C))
    assert score.wrong == ("$.f", "$.g")


def test_each_unordered_call_finds_its_own_though_several_are_near(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    options = {"unordered": True, "fields": {"$.f.x": {"compare": "number", "absolute": 1}}}
    made = scorer("tool_call", scorer_options=options)
    one, two, three = (("f", f'{{"x": {x}}}') for x in (1, 2, 3))
    # 2 is near to 1 and 3, and 1.5 to 1 and 2: only one pairing leaves none over.
    answer = calling(two, ("f", '{"x": 1.5}'), ("f", '{"x": 0}'))
    assert made.score(case(calls=[one, two, three]), answer).passed
    assert not made.score(case(calls=[one, two, three]), calling(two, two, ("f", '{"x": 0}'), one)).passed


def test_of_two_equal_unordered_calls_the_first_is_the_one_that_was_made(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    made = scorer("tool_call", scorer_options={"unordered": True})
    score = made.score(case(calls=[A, A]), calling(A, C))
    assert score.wrong == ('$["f#2"]', "$.g")
    options = {"unordered": True, "fields": {"$.f.x": {"compare": "number", "absolute": 1}}}
    one, two, other = (("f", f'{{"x": {x}}}') for x in (1, 2, 9))
    near = scorer("tool_call", scorer_options=options).score(case(calls=[one, two]), calling(other, two))
    assert near.wrong == ('$["f#2"].x',)


def test_arguments_nested_too_deeply_have_no_field_right(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    for depth in (800, 5000):
        deep = '{"x": ' + "[" * depth + "]" * depth + "}"
        score = scorer("tool_call").score(case(calls=[A, B]), calling(("f", deep)))
        assert (score.passed, score.format_failure, score.fields) == (False, FormatFailure.NOT_JSON, (0, 2))


BARE = {"type": "function", "function": {"name": "now"}}


@pytest.mark.parametrize(
    "tool",
    [BARE, {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}],
)
@pytest.mark.parametrize("expected", ["{}", ""])
@pytest.mark.parametrize("answer", ["{}", "", " \n"])
def test_a_function_without_parameters_may_be_called_with_nothing(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    calling: Callable[..., Completion],
    tool: dict[str, Any],
    expected: str,
    answer: str,
) -> None:
    for tools in ([tool], []):
        wanted = case(calls=[("now", expected)], tools=tools)
        assert scorer("tool_call").check(wanted) is None
        score = scorer("tool_call").score(wanted, calling(("now", answer)))
        assert (score.passed, score.format_failure) == (True, None)
        assert scorer("tool_call").explain(wanted, calling(("now", answer))) == []


def test_nothing_is_not_json_for_a_function_with_parameters(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    known = case(calls=[PARIS], tools=[WEATHER])
    for wanted in (known, case(calls=[PARIS])):
        assert scorer("tool_call").score(wanted, calling(("weather", ""))).format_failure is FormatFailure.NOT_JSON
    assert "arguments are not JSON" in scorer("tool_call").check(case(calls=[("weather", "")], tools=[WEATHER]))
    other = scorer("tool_call").score(case(calls=[("now", "{}")], tools=[BARE, WEATHER]), calling(("weather", "")))
    assert other.format_failure is FormatFailure.NOT_JSON
    for parameters in ({"properties": {"at": {}}}, {"required": ["at"]}):
        tool = {"type": "function", "function": {"name": "now", "parameters": parameters}}
        asked = scorer("tool_call").score(case(calls=[("now", '{"at": 1}')], tools=[tool]), calling(("now", "")))
        assert asked.format_failure is FormatFailure.NOT_JSON


def test_a_function_named_like_a_second_call_is_another_function(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    wanted = case(calls=[("f", "{}"), ("f", "{}")])
    for options in ({}, {"unordered": True}):
        assert not scorer("tool_call", scorer_options=options).score(wanted, calling(("f", "{}"), ("f#2", "{}"))).passed
