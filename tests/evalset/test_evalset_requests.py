from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet

CASE = {"id": "a", "system": "Sort.", "input": "it crashed", "expected": "bug"}
TOOL = {"type": "function", "function": {"name": "find"}}
CHAT = {
    "id": "a",
    "messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "b"}],
    "tools": [TOOL],
}


def body(eval_set: EvalSet, attempt: int = 0) -> dict[str, Any]:
    return eval_set.request(eval_set.cases[0], "m", attempt).body()


def params(eval_set: EvalSet, attempt: int = 0) -> dict[str, Any]:
    return {key: value for key, value in body(eval_set, attempt).items() if key not in ("messages", "model")}


def test_a_request_has_the_prompt_and_temperature_zero(load: Callable[..., EvalSet]) -> None:
    assert body(load([CASE])) == {
        "messages": [{"role": "system", "content": "Sort."}, {"role": "user", "content": "it crashed"}],
        "model": "m",
        "temperature": 0.0,
    }


def test_a_request_has_its_source_line(load: Callable[..., EvalSet]) -> None:
    eval_set = load([CASE])
    request = eval_set.request(eval_set.cases[0], "m", 2)
    assert (request.eval_set, request.case_id, request.attempt) == ("set.jsonl", "a", 2)


def test_unset_settings_are_not_sent(load: Callable[..., EvalSet]) -> None:
    toml = '[request]\nmax_completion_tokens = 16\ntop_p = 0.5\nstop = "x"\nlogit_bias = { "5" = -1 }\n'
    assert params(load([CASE], toml)) == {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_completion_tokens": 16,
        "stop": "x",
        "logit_bias": {"5": -1.0},
    }


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_temperature_of_stability_takes_precedence(load: Callable[..., EvalSet], repeats: int) -> None:
    toml = f"[request]\ntemperature = 0.2\n[stability]\nrepeats = {repeats}\ntemperature = 0.7\n"
    assert params(load([CASE], toml))["temperature"] == 0.7


def test_the_seed_grows_with_the_attempt(load: Callable[..., EvalSet]) -> None:
    eval_set = load([CASE], "[request]\nseed = 7\n[stability]\nrepeats = 3\n")
    assert [params(eval_set, attempt)["seed"] for attempt in range(3)] == [7, 8, 9]


def test_no_seed_is_sent_unless_set(load: Callable[..., EvalSet]) -> None:
    assert "seed" not in params(load([CASE]), attempt=2)


@pytest.mark.parametrize(
    ("toml", "sent"),
    [
        ('"json_object"', {"type": "json_object"}),
        ('"text"', {"type": "text"}),
        ('{ type = "grammar", grammar = "g" }', {"type": "grammar", "grammar": "g"}),
    ],
)
def test_a_response_format_is_sent_as_an_object(load: Callable[..., EvalSet], toml: str | None, sent: Any) -> None:
    assert params(load([CASE], f"[request]\nresponse_format = {toml}\n"))["response_format"] == sent


@pytest.mark.parametrize(
    ("file", "name"),
    [("voice slots.schema.json", "voice_slots"), ("a.json", "a"), ("x" * 80 + ".json", "x" * 64), ("数.json", "_")],
)
def test_a_response_schema_is_sent_as_a_strict_format(
    tmp_path: Path, load: Callable[..., EvalSet], file: str, name: str
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    (tmp_path / file).write_text(json.dumps(schema), encoding="utf-8")
    assert params(load([CASE], f'[request]\nresponse_schema = "{file}"\n'))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": schema},
    }


def test_tools_of_the_settings_are_sent(load: Callable[..., EvalSet]) -> None:
    assert params(load([CASE], '[request]\ntools = [{ type = "function", function = { name = "find" } }]\n'))[
        "tools"
    ] == [TOOL]


def test_tools_of_the_case_replace_those_of_the_settings(load: Callable[..., EvalSet]) -> None:
    assert params(load([CHAT]))["tools"] == [TOOL]
    other = '[request]\ntools = [{ type = "function", function = { name = "other" } }]\n'
    assert params(load([CHAT], other))["tools"] == [TOOL]


def test_the_extra_body_takes_precedence(load: Callable[..., EvalSet]) -> None:
    toml = "[request]\ntop_p = 0.5\n[request.extra_body]\ntop_k = 1\ntop_p = 0.9\n"
    assert params(load([CASE], toml)) == {"temperature": 0.0, "top_k": 1, "top_p": 0.9}


def test_cases_without_their_own_parameters_share_them(load: Callable[..., EvalSet]) -> None:
    eval_set = load([CASE, {"id": "b", "input": "2", "expected": "b"}])
    first, second = (eval_set.request(case, "m") for case in eval_set.cases)
    assert first.params is second.params


def test_a_request_with_tools_does_not_change_the_shared_parameters(load: Callable[..., EvalSet]) -> None:
    eval_set = load([CHAT, CASE | {"id": "b"}])
    eval_set.request(eval_set.cases[0], "m", 1)
    assert "tools" not in eval_set.request(eval_set.cases[1], "m").params
