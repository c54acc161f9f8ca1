"""A training row or an eval case in one form for the checks: its prompt and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.data.examples import text_of
from pytest_finetune.verdicts.evalset.formats import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Case


@dataclass(frozen=True, slots=True)
class Example:
    """
    One prompt with its answer.

    Args:
        file: Name of the file in findings.
        line: 1-based line number.
        system: The system prompt; empty if there is none.
        question: The user messages of all turns.
        answer: The text of the answer; None if the answer consists of tool calls.
        tools: The tools as canonical JSON; empty if there are none.
        prompt_id: Hash of tools and messages before the answer; whitespace is normalized.
        answer_id: Hash of the answer; whitespace is normalized.
    """

    file: str
    line: int
    system: str
    question: str
    answer: str | None
    tools: str
    prompt_id: bytes
    answer_id: bytes


def example_of_row(file: str, line: int, value: Mapping[str, Any]) -> Example | None:
    """The example of a row in chat format; None if it does not end with an answer, or is malformed."""
    messages = value.get("messages")
    if type(messages) is not list or not messages or not all(type(message) is dict for message in messages):
        return None
    *prompt, last = messages
    if last.get("role") != "assistant":
        return None
    tools = value.get("tools")
    return _example(file, line, prompt, _answer(last), canonical_json(tools) if tools else "")


def example_of_case(file: str, case: Case, tools: Sequence[Mapping[str, Any]]) -> Example:
    """The example of an eval case; `tools` are those of the eval set, used for cases without tools of their own."""
    messages = [message.to_wire() for message in case.messages]
    if case.tool_calls:
        answer: Any = [(call.name, call.arguments) for call in case.tool_calls]
    else:
        answer = case.expected[0] if len(case.expected) == 1 else case.expected
    offered = case.tools or tools
    return _example(file, case.line, messages, answer, canonical_json(offered) if offered else "")


def system_prompt(messages: list[dict[str, Any]]) -> str:
    """The text of all system and developer messages."""
    return "\n".join([*_texts_of("system", messages), *_texts_of("developer", messages)])


def digest(text: str) -> bytes:
    """A 12-byte hash of a text; among a billion texts two share a hash with a probability of about 10^-11."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _example(file: str, line: int, prompt: list[dict[str, Any]], answer: Any, tools: str) -> Example:
    text = answer if type(answer) is str else canonical_json(answer)
    return Example(
        file,
        line,
        system_prompt(prompt),
        "\n".join(_texts_of("user", prompt)),
        answer if type(answer) is str else None,
        tools,
        digest("\0".join([tools, *map(_spelt, prompt)])),
        digest(" ".join(text.split())),
    )


def _texts_of(role: str, prompt: list[dict[str, Any]]) -> list[str]:
    return [text_of(message.get("content")) for message in prompt if message.get("role") == role]


def _answer(message: Mapping[str, Any]) -> Any:
    """The text of the assistant message, or the whole message if it has tool calls."""
    if message.get("tool_calls") or message.get("function_call"):
        return {key: item for key, item in message.items() if key != "weight"}
    return text_of(message.get("content"))


def _spelt(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if type(content) is str and len(message) == 2:  # noqa: PLR2004 - a role and a content, as nearly all have
        return f"{message.get('role')}\1{' '.join(content.split())}"
    return canonical_json(message)
