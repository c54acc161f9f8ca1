"""A refusal that names a parameter says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_finetune.base.records import Completion, Failure, Message, Request
from pytest_finetune.evaluation.targets.refused_parameters import with_remedy

UNDER = '; in eval_sets/t.toml write under [models."gpt-7".request]: '
PROMPT = (Message("system", "Sort."), Message("user", "hi"))


def request(messages: tuple[Message, ...] = PROMPT, **params: Any) -> Request:
    return Request("gpt-7", messages, params, eval_set="eval_sets/t.jsonl", case_id="a")


@pytest.mark.parametrize(
    ("message", "params", "line"),
    [
        (
            "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is",
            {"temperature": 0.0},
            'temperature = "default"',
        ),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead",
            {"temperature": 0.0, "max_tokens": 16},
            'max_tokens = "default" and max_completion_tokens = 16',
        ),
        ("Unrecognized request argument supplied: seed", {"seed": 1}, 'seed = "default"'),
        ("Extra inputs are not permitted: logit_bias", {"logit_bias": {}}, 'logit_bias = "default"'),
        ("gpt-5 models don't support temperature=0.3", {"temperature": 0.3}, 'temperature = "default"'),
        (
            "Function tools with reasoning_effort are not supported. To use function tools, use /v1/responses",
            {"tools": []},
            'api = "responses"',
        ),
        (
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            {},
            'system_role = "user"',
        ),
        ("System role not supported", {}, 'system_role = "user"'),
    ],
)
def test_a_refused_parameter_comes_with_the_line_that_leaves_it_out(
    message: str, params: dict[str, Any], line: str
) -> None:
    outcome = with_remedy(Failure("bad_request", message, 400), request(**params))
    assert outcome == Failure("bad_request", f"{message}{UNDER}{line}", 400, fatal=True)


def test_a_parameter_is_recognized_by_its_name_in_the_responses_api() -> None:
    message = "HTTP 400: litellm.UnsupportedParamsError: smollm2-135m doesn't support `reasoning.effort`"
    request = Request("m", PROMPT, {"temperature": 0.0, "reasoning_effort": "low"}, api="responses")
    outcome = with_remedy(Failure("bad_request", message, 400), request)
    assert isinstance(outcome, Failure)
    assert outcome.message.endswith('reasoning_effort = "default"')


def test_a_limit_that_is_too_low_comes_with_the_least_one() -> None:
    message = "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 8 instead."
    request = Request("m", PROMPT, {"max_completion_tokens": 8}, api="responses")
    outcome = with_remedy(Failure("bad_request", message, 400), request)
    assert isinstance(outcome, Failure)
    assert outcome.message.endswith('[models."m".request]: max_completion_tokens = 16')


def test_a_refused_developer_role_becomes_system() -> None:
    failure = Failure("bad_request", "Unexpected role 'developer'", 400)
    outcome = with_remedy(failure, request((Message("developer", "x"), Message("user", "y"))))
    assert isinstance(outcome, Failure)
    assert outcome.message.endswith('system_role = "system"')


@pytest.mark.parametrize(
    ("failure", "params"),
    [
        (Failure("bad_request", "Unsupported parameter: 'seed'", 400), {"temperature": 0.0}),
        (Failure("bad_request", "max_tokens is too large: 99999", 400), {"max_tokens": 99999}),
        (Failure("bad_request", "tools are not supported", 400), {"tools": []}),
        (Failure("bad_request", "my_temperature is not supported", 400), {"temperature": 0.0}),
        (Failure("server", "Unsupported value: 'temperature'", 500), {"temperature": 0.0}),
        (Failure("auth", "Unsupported value: 'temperature'", 401, fatal=True), {"temperature": 0.0}),
    ],
)
def test_other_failures_stay_as_they_are(failure: Failure, params: dict[str, Any]) -> None:
    assert with_remedy(failure, request(**params)) is failure


def test_an_answer_stays_as_it_is() -> None:
    completion = Completion("temperature is unsupported")
    assert with_remedy(completion, request(temperature=0.0)) is completion
