"""How the requests of a set look for one model: its own settings, and what its family refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Completion, Message, Usage
from pytest_finetune.verdicts.evalset.model_families import FAMILIES, family_of
from pytest_finetune.verdicts.evalset.request_form import RequestForm, changed_parameters, request_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.evalset import EvalSet

CASE = {"id": "a", "system": "Sort.", "input": "it crashed", "expected": "bug"}
SAMPLED = {"temperature": 0.0, "top_p": 0.5}


def form(model: str, *, has_tools: bool = False, **params: Any) -> RequestForm:
    return request_form(params, (), model, has_tools=has_tools)


def sent(eval_set: EvalSet, model: str) -> dict[str, Any]:
    return dict(eval_set.request(eval_set.cases[0], model).params)


@pytest.mark.parametrize(
    ("model", "params", "left"),
    [
        ("gpt-6-luna", SAMPLED, []),
        ("gpt-6-luna-2026-09-22", SAMPLED, []),
        ("openai/gpt-6-luna:batch", SAMPLED, []),
        ("gpt-6-luna", {**SAMPLED, "reasoning_effort": "low"}, ["reasoning_effort"]),
        ("gpt-6-luna", {**SAMPLED, "reasoning_effort": "none"}, ["temperature", "top_p", "reasoning_effort"]),
        ("gpt-6.2-astra-law", {"temperature": 0.0, "logprobs": True}, []),
        ("gpt-5.6-terra", SAMPLED, []),
        ("gpt-5.4-mini", SAMPLED, ["temperature", "top_p"]),
        ("gpt-5.4-mini", {**SAMPLED, "reasoning_effort": "high"}, ["reasoning_effort"]),
        ("gpt-5.1", SAMPLED, ["temperature", "top_p"]),
        ("gpt-5.2-2025-12-11", {**SAMPLED, "reasoning_effort": "medium"}, ["reasoning_effort"]),
        ("gpt-5-mini", {**SAMPLED, "reasoning_effort": "minimal"}, ["reasoning_effort"]),
        ("o3-mini", {**SAMPLED, "presence_penalty": 1, "seed": 3}, ["seed"]),
        ("ft:o4-mini-2025-04-16:acme::abc", SAMPLED, []),
        ("ft:gpt-4.1-mini-2025-04-14:acme::abc", SAMPLED, ["temperature", "top_p"]),
        ("gpt-4.1", SAMPLED, ["temperature", "top_p"]),
        ("gpt-5-chat-latest", SAMPLED, ["temperature", "top_p"]),
        ("gpt-5.5", SAMPLED, ["temperature", "top_p"]),
        ("qwen3-8b", SAMPLED, ["temperature", "top_p"]),
        ("local:gpt-6-luna", SAMPLED, ["temperature", "top_p"]),
    ],
)
def test_what_a_known_family_refuses_is_left_out_and_noted(model: str, params: dict[str, Any], left: list[str]) -> None:
    made = form(model, **params)
    assert list(made.params) == left
    assert {note.split(" ", 1)[0] for note in made.notes} == params.keys() - set(left)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_names_its_source_and_when_it_was_read(family: Any) -> None:
    assert "https://" in family.source
    assert "read 2026-" in family.source


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"max_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
    ],
)
def test_a_reasoning_model_gets_the_new_name_of_the_limit(params: dict[str, int], expected: dict[str, int]) -> None:
    assert form("gpt-6-luna", **params).params == expected
    assert form("gpt-4.1", **params).params == params


@pytest.mark.parametrize(
    ("model", "effort", "api"),
    [
        ("gpt-6-luna", None, "responses"),
        ("gpt-6-luna", "high", "responses"),
        ("gpt-6-luna", "none", "chat"),
        ("gpt-6.1-sol", "none", "responses"),
        ("gpt-6.1-terra", "high", "chat"),
        ("gpt-4.1", None, "chat"),
    ],
)
def test_requests_with_tools_go_where_the_model_takes_them(model: str, effort: str | None, api: str) -> None:
    params = {} if effort is None else {"reasoning_effort": effort}
    assert form(model, has_tools=True, **params).api == api
    assert form(model, **params).api == "chat"


def test_the_settings_decide_the_api_before_the_family_and_the_command_line_before_all() -> None:
    luna = ({"api": "chat"}, (), "gpt-6-luna")
    assert request_form(*luna, has_tools=True).api == "chat"
    assert request_form(*luna, has_tools=True, api="responses").api == "responses"


def test_what_the_responses_api_lacks_is_left_out_and_noted() -> None:
    made = form("m", api="responses", seed=1, stop="x", top_p=0.5)
    assert made.params == {"top_p": 0.5}
    assert made.notes == (
        "seed left out: the Responses API has no such parameter",
        "stop left out: the Responses API has no such parameter",
    )


def test_a_parameter_can_be_left_out(load: Callable[..., EvalSet]) -> None:
    assert sent(load([CASE], '[request]\ntemperature = "default"\n'), "m") == {}
    assert sent(load([CASE], '[request]\nservice_tier = "default"\n'), "m")["service_tier"] == "default"


def test_settings_of_a_model_go_before_those_of_the_set(load: Callable[..., EvalSet]) -> None:
    eval_set = load(
        [CASE],
        "[request]\nseed = 1\nmax_tokens = 16\n"
        '[models."gpt-6-*".request]\nreasoning_effort = "low"\nseed = "default"\n'
        '[models."gpt-6-luna".request]\nmax_tokens = "default"\nmax_completion_tokens = 500\n'
        '[models."*".request]\nreasoning_effort = "none"\n',
    )
    assert sent(eval_set, "gpt-6-luna") == {
        "reasoning_effort": "none",
        "temperature": 0.0,
        "max_completion_tokens": 500,
    }
    assert sent(eval_set, "old") == {"temperature": 0.0, "max_tokens": 16, "seed": 1, "reasoning_effort": "none"}
    notes = eval_set.form("gpt-6-luna").notes
    assert notes[0] == '[models."gpt-6-*"]: seed not sent, reasoning_effort "low"'


def test_an_exact_id_goes_before_any_pattern(load: Callable[..., EvalSet]) -> None:
    toml = '[models."m".request]\ntemperature = 0.3\n[models."*".request]\ntemperature = 0.9\n'
    assert sent(load([CASE], toml), "m")["temperature"] == 0.3
    assert sent(load([CASE], toml), "n")["temperature"] == 0.9


def test_settings_for_a_model_win_over_the_rules_of_its_family(load: Callable[..., EvalSet]) -> None:
    eval_set = load([CASE], '[models."gpt-6-luna".request]\ntemperature = 1.0\n')
    assert sent(eval_set, "gpt-6-luna")["temperature"] == 1.0


def test_settings_of_a_model_are_part_of_the_hash(load: Callable[..., EvalSet]) -> None:
    plain = load([CASE]).settings_sha256
    assert load([CASE], '[models."m".request]\ntop_p = 0.5\n').settings_sha256 != plain
    assert load([CASE], '[models."m".answer]\nafter = "x"\n').settings_sha256 != plain


@pytest.mark.parametrize(
    ("toml", "where", "problem", "hint"),
    [
        ('[models."gpt-6-*".request]\ntemprature = 1\n', 2, "unknown key", "did you mean 'temperature'?"),
        ('[models."m"]\ntemperature = 1\n', 2, "unknown key", "temperature belongs to [request]"),
        ('\n[models."a:b/c".answer]\nafter = ""\n', 3, "String should have at least 1 character", ""),
        ('[models."m".request]\napi = "respones"\n', 2, "unknown value 'respones'", "did you mean 'responses'?"),
        ('[request]\ntemperature = "hot"\n', 2, "Input should be a valid number; or Input should be 'default'", ""),
        (
            '[models."m".request]\nresponse_schema = "gone.json"\n',
            2,
            "gone.json: No such file or directory",
            "there is no .json file in its folder",
        ),
    ],
)
def test_a_fault_in_the_settings_of_a_model_is_reported_at_its_line(
    fault: Callable[..., tuple[str, str, str]], toml: str, where: int, problem: str, hint: str
) -> None:
    at, found, advice = fault([CASE], toml)
    assert at == f"set.toml:{where}"
    assert found.endswith(f": {problem}")
    assert advice == hint


SYSTEM, USER = Message("system", "Sort."), Message("user", "it crashed")


@pytest.mark.parametrize(
    ("role", "messages", "expected"),
    [
        ("", (SYSTEM, USER), (SYSTEM, USER)),
        ("developer", (SYSTEM, USER), (Message("developer", "Sort."), USER)),
        ("user", (SYSTEM, USER), (Message("user", "Sort.\n\nit crashed"),)),
        ("user", (USER,), (USER,)),
        (
            "user",
            (SYSTEM, Message("user", [{"type": "text"}])),
            (Message("user", "Sort."), Message("user", [{"type": "text"}])),
        ),
        ("user", (USER, SYSTEM), (USER, Message("user", "Sort."))),
        (
            "user",
            (SYSTEM, Message("assistant", "?"), USER),
            (Message("user", "Sort."), Message("assistant", "?"), USER),
        ),
    ],
)
def test_system_messages_are_sent_with_the_role_that_is_set(
    role: str, messages: tuple[Message, ...], expected: tuple[Message, ...]
) -> None:
    assert RequestForm(system_role=role).messages(messages) == expected


def test_models_without_a_system_role_get_the_instructions_from_the_user(load: Callable[..., EvalSet]) -> None:
    eval_set = load([CASE])
    assert [m.role for m in eval_set.request(eval_set.cases[0], "o1-mini").messages] == ["user"]
    assert [m.role for m in eval_set.request(eval_set.cases[0], "o1").messages] == ["system", "user"]
    assert family_of("o1-mini") != family_of("o1")


@pytest.mark.parametrize(
    ("text", "reasoning", "answer", "thought"),
    [
        ("<think>It is a bug.</think>\n\nbug", "", "bug", "<think>It is a bug."),
        ("a</think>b</think>c", "", "c", "a</think>b"),
        ("It is a", "", "", "It is a"),
        ("bug", "It is a bug.", "bug", "It is a bug."),
        ("more</think>bug", "First.", "bug", "First.\n\nmore"),
        ("thought</think>", "", "", "thought"),
    ],
)
def test_the_answer_follows_what_the_settings_name(text: str, reasoning: str, answer: str, thought: str) -> None:
    found = RequestForm(after="</think>").answer(Completion(text, reasoning=reasoning))
    assert (found.text, found.reasoning) == (answer, thought)
    assert RequestForm(after="</think>").answer(found) == found


def test_the_whole_text_is_the_answer_by_default(load: Callable[..., EvalSet]) -> None:
    completion = Completion("<think>It is a bug.</think>bug")
    assert load([CASE]).form("m").answer(completion) == completion
    eval_set = load([CASE], '[answer]\nafter = "</think>"\n[models."old".answer]\nafter = "Label:"\n')
    assert eval_set.form("m").answer(completion).text == "bug"
    assert eval_set.form("old").answer(Completion("Label: bug")).text == "bug"


@pytest.mark.parametrize(
    ("completion", "kind", "detail"),
    [
        (Completion("", reasoning="hm"), "empty", "reasoning only"),
        (Completion("", usage=Usage(9, 64, reasoning=64)), "empty", "reasoning only"),
        (Completion(""), "empty", "the answer is empty"),
        (Completion("", "length", reasoning="hm"), "truncated", "cut off at the token limit before any answer"),
    ],
)
def test_an_answer_that_is_all_reasoning_is_empty_or_truncated(
    load: Callable[..., EvalSet], completion: Completion, kind: str, detail: str
) -> None:
    eval_set = load([CASE], 'scorer = "label"\nlabels = ["bug", "other"]\n')
    score = eval_set.scorer.score(eval_set.cases[0], completion)
    assert (score.passed, score.format_failure, score.detail) == (False, kind, detail)


def test_differences_name_what_was_sent_and_what_was_not() -> None:
    before, after = {"temperature": 0.0, "seed": 1}, {"seed": 1, "reasoning_effort": "low"}
    assert changed_parameters(before, after) == ["temperature 0.0 -> not sent", 'reasoning_effort not sent -> "low"']
    assert changed_parameters(before, before) == []


def test_the_record_keeps_long_values_as_hashes() -> None:
    recorded = form("m", temperature=0.0, tools=[{"function": {"name": "x" * 99}}], api="responses").recorded
    assert recorded["temperature"] == 0.0
    assert recorded["api"] == "responses"
    assert recorded["tools"].startswith("sha256:")


@pytest.mark.parametrize("model", ["o1-pro", "o3-pro-2025-06-10", "gpt-5-pro", "gpt-5.2-pro", "gpt-5.1-codex-mini"])
def test_models_without_chat_completions_are_sent_to_the_responses_api_without_tools_too(model: str) -> None:
    made = form(model, temperature=0.0, max_tokens=9)
    assert made.api == "responses"
    assert "temperature" not in made.params
    assert any(note.endswith("are available nowhere else") for note in made.notes)
    assert form(model, api="chat").api == "chat"


@pytest.mark.parametrize("model", ["o3", "o3-mini", "gpt-5", "gpt-5.2", "gpt-5.4-mini", "my-o3-pro", "gpt-5-proto"])
def test_other_models_stay_at_chat_completions(model: str) -> None:
    assert form(model).api == "chat"
