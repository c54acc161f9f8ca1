from __future__ import annotations

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
