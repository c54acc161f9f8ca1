"""Preference data of OpenAI (`preferred_output`, `non_preferred_output`) and of TRL (`chosen`, `rejected`)."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import type_name
from pytest_finetune.verdicts.shapes.chat import modern
from pytest_finetune.verdicts.shapes.prompt_completion import answer_in, prompt_in
from pytest_finetune.verdicts.shapes.row import (
    ChatRow,
    RowFault,
    Shape,
    answered,
    assistant,
    json_list_in,
    messages_in,
    system_in,
    user,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Message, Value

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")


def read_openai(value: Value) -> ChatRow:
    """The chat with the preferred answer, and the answer that is not preferred."""
    given = value["input"]
    if not isinstance(given, dict):
        raise RowFault(f"input is {type_name(given)}, not an object with messages")
    prompt, tools = modern(given)
    preferred, rejected = (
        _only_answers(answered(messages_in(value, column)), column)
        for column in ("preferred_output", "non_preferred_output")
    )
    settings = given.get("parallel_tool_calls")
    # OpenAI's own example has an empty list.
    return ChatRow(OPENAI_PREFERENCE.name, [*prompt, *preferred], tools or None, settings, rejected)


def read_trl(value: Value) -> ChatRow:
    """The chat with the chosen answer, and the rejected one; a prompt may be part of both, or be called question."""
    chosen, rejected = _answer(value, "chosen"), _answer(value, "rejected")
    # All but the last message at most: equal answers must not become part of the prompt.
    same = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen[:-1], rejected[:-1], strict=False))]
    prompt = [*system_in(value, "system"), *_prompt(value, same)]
    preferred, other = (
        _only_answers(messages[len(same) :], column)
        for column, messages in (("chosen", chosen), ("rejected", rejected))
    )
    tools = json_list_in(value, "tools") or None
    return ChatRow(TRL_PREFERENCE.name, [*prompt, *preferred], tools, rejected=other)


def _only_answers(messages: list[Message], column: str) -> list[Message]:
    """What differs between the two answers, which must be of the assistant: both follow the same prompt."""
    if any(message.get("role") in ("system", "developer", "user") for message in messages):
        hint = "remove the row, or make both answers follow the same messages"
        raise RowFault(f"the two answers do not follow the same prompt: {column} has another message of the user", hint)
    return messages


def _answer(value: Value, column: str) -> list[Message]:
    """The messages of an answer; a text may be the whole conversation, as in Anthropic's HH-RLHF."""
    text = value.get(column)
    if not isinstance(text, str) or not text.lstrip().startswith("Human:"):
        return answer_in(value, column)
    _, *turns = _SPEAKER.split("\n\n" + text.lstrip())
    roles = [user if speaker == "Human" else assistant for speaker in turns[::2]]
    return answered([message(said.strip()) for message, said in zip(roles, turns[1::2], strict=True)])


def _prompt(value: Value, same: list[Message]) -> list[Message]:
    if value.get("prompt") is None and value.get("question") is not None:
        value = {**value, "prompt": value["question"]}
    if value.get("prompt") is None:
        if not same:
            raise RowFault("no prompt: neither a column 'prompt' nor messages that chosen and rejected share")
        return same
    prompt = prompt_in(value)
    if not same or same == prompt:
        return prompt
    users = [message.get("content") for message in same if message.get("role") == "user"]
    if [message.get("content") for message in prompt if message.get("role") == "user"] not in (users, users[:1]):
        raise RowFault("the prompt is not the one that chosen and rejected share", "keep one of them")
    return same


OPENAI_PREFERENCE = Shape(
    "openai-preference",
    ("input", "preferred_output"),
    frozenset({"input", "preferred_output", "non_preferred_output"}),
    read_openai,
)
TRL_PREFERENCE = Shape(
    "trl-preference",
    ("chosen", "rejected"),
    frozenset({"system", "prompt", "question", "chosen", "rejected", "tools", "score_chosen", "score_rejected"}),
    read_trl,
)
