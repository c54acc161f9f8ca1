"""Tokens are counted with the tokenizer of the model if it is known; otherwise they are estimates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.data.tokens import FRAME, tokenizer_for
from pytest_finetune.verdicts.shapes.row import ChatRow

CHAT = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "hello world"},
    {"role": "assistant", "content": "hello world"},
]


@pytest.mark.parametrize(
    ("model", "name", "exact"),
    [
        ("gpt-4.1", "o200k_base", True),
        ("ft:gpt-4.1-nano-2025-04-14:acme::9Kx2", "o200k_base", True),
        ("gpt-4o-mini-2024-07-18", "o200k_base", True),
        ("gpt-5", "o200k_base", True),
        ("o4-mini-2025-04-16", "o200k_base", True),
        ("gpt-4-0613", "cl100k_base", True),
        ("ft:gpt-3.5-turbo-0125:acme::9Kx2", "cl100k_base", True),
        ("gpt-5.4", "o200k_base", False),
        ("gpt-40", "o200k_base", False),
        ("llama-3.1-8b", "o200k_base", False),
        ("local:smollm2-135m", "smollm2-135m", True),
        ("ft:smollm2-135m:local:tickets:x1", "smollm2-135m", True),
        ("local:nowhere", "o200k_base", False),
    ],
)
def test_a_model_has_its_own_tokenizer_or_a_substitute(model, name, exact):
    tokenizer = tokenizer_for(model)
    assert (tokenizer.name, tokenizer.exact) == (name, exact)


@pytest.mark.parametrize(
    ("model", "text", "tokens"),
    [
        ("gpt-4o", "hello world", 2),
        ("gpt-4", "hello world", 2),
        ("gpt-4o", "You are a helpful assistant.", 6),
        ("gpt-4o", "", 0),
    ],
)
def test_known_texts_have_their_known_counts(model, text, tokens):
    assert tokenizer_for(model).count(text) == tokens


def test_special_tokens_in_a_text_are_text():
    assert tokenizer_for("gpt-4o").count("<|endoftext|>") > 1


def test_the_frame_of_a_chat_is_counted_as_the_cookbook_does():
    """Three tokens per message, one for each role, and three before the answer."""
    tokenizer = tokenizer_for("gpt-4o")
    contents = [tokenizer.count(message["content"]) for message in CHAT]
    assert tokenizer.count_row(ChatRow("chat", CHAT)) == sum(contents) + 3 * (FRAME + 1) + FRAME
    named = [*CHAT[:1], CHAT[1] | {"name": "ann"}, *CHAT[2:]]
    assert tokenizer.count_row(ChatRow("chat", named)) == (
        tokenizer.count_row(ChatRow("chat", CHAT)) + 1 + tokenizer.count("ann")
    )


def test_tools_and_calls_are_counted_and_images_are_not():
    tokenizer = tokenizer_for("gpt-4o")
    plain = tokenizer.count_row(ChatRow("chat", CHAT))
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    assert tokenizer.count_row(ChatRow("chat", CHAT, tools)) > plain + 10
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}]}
    assert tokenizer.count_answer(call) == FRAME + tokenizer.count("get_weather") + tokenizer.count('{"city":"Oslo"}')
    parts = [{"type": "text", "text": "hello world"}, {"type": "image_url", "image_url": {"url": "data:" + "x" * 99}}]
    assert tokenizer.count_message({"role": "user", "content": parts}) == tokenizer.count_message(CHAT[1])


def test_malformed_messages_are_counted_as_far_as_they_have_text():
    odd = [5, None, {"role": 7, "content": {"a": 1}, "tool_calls": [1, {"function": 3}]}]
    assert tokenizer_for("gpt-4o").count_prompt(odd) == FRAME * 2


@given(st.text(max_size=300))
def test_any_text_can_be_counted(text):
    assert 0 <= tokenizer_for("gpt-4o").count(text) <= 4 * len(text) + 1


@pytest.mark.parametrize("text", ["a" * 250_000, "🙂" * 90_000, "ab cd " * 50_000])
def test_long_texts_are_counted_in_pieces(text):
    tokenizer = tokenizer_for("gpt-4o")
    pieces = -(-len(text) // 40_000)
    half = tokenizer.count(text[: len(text) // 2])
    assert abs(tokenizer.count(text) - 2 * half) <= 2 * pieces
