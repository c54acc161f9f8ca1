"""A training row or an eval case as the checks of meaning see it: what was asked, and what is to be answered."""

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
    One question with its answer.

    Args:
        file: The file as people know it.
        line: 1-based.
        system: The system prompt; empty where there is none.
        question: What the user says, all turns together.
        answer: The text to be answered; None where the answer is tool calls.
        tools: The tools on offer as canonical JSON; empty where there are none.
        prompt_id: Hash of all that stands before the answer, white space aside.
        answer_id: Hash of the answer, white space around it aside.
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
    """The example of a row in chat format; None where it ends with no answer, or holds something else than messages."""
    messages = value.get("messages")
    if type(messages) is not list or not messages or not all(type(message) is dict for message in messages):
        return None
    *prompt, last = messages
    if last.get("role") != "assistant":
        return None
    tools = value.get("tools")
    return _example(file, line, prompt, _answer(last), canonical_json(tools) if tools else "")


def example_of_case(file: str, case: Case, tools: Sequence[Mapping[str, Any]]) -> Example:
    """The example of an eval case; `tools` are those of the set, which go with cases that have none of their own."""
    messages = [message.to_wire() for message in case.messages]
    if case.tool_calls:
        answer: Any = [(call.name, call.arguments) for call in case.tool_calls]
    else:
        answer = case.expected[0] if len(case.expected) == 1 else case.expected
    offered = case.tools or tools
    return _example(file, case.line, messages, answer, canonical_json(offered) if offered else "")


def system_prompt(messages: list[dict[str, Any]]) -> str:
    """What system and developer messages say, together."""
    return "\n".join([*_said_by("system", messages), *_said_by("developer", messages)])


def digest(text: str) -> bytes:
    """A short hash of a text; two texts of a billion have the same with a chance of one in 10^11."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _example(file: str, line: int, prompt: list[dict[str, Any]], answer: Any, tools: str) -> Example:
    said = answer if type(answer) is str else canonical_json(answer)
    return Example(
        file,
        line,
        system_prompt(prompt),
        "\n".join(_said_by("user", prompt)),
        answer if type(answer) is str else None,
        tools,
        digest("\0".join([tools, *map(_spelt, prompt)])),
        digest(" ".join(said.split())),
    )


def _said_by(role: str, prompt: list[dict[str, Any]]) -> list[str]:
    return [text_of(message.get("content")) for message in prompt if message.get("role") == role]


def _answer(message: Mapping[str, Any]) -> Any:
    """The text of the assistant's message, or all of it where it is more than text."""
    if message.get("tool_calls") or message.get("function_call"):
        return {key: item for key, item in message.items() if key != "weight"}
    return text_of(message.get("content"))


def _spelt(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if type(content) is str and len(message) == 2:  # noqa: PLR2004 - a role and a content, as nearly all have
        return f"{message.get('role')}\1{' '.join(content.split())}"
    return canonical_json(message)
