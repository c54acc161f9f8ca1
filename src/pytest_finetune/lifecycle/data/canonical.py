"""
The canonical form of a row: what its duplicates, conflicts and leaks are found by, whatever its shape and spelling.

Call ids are numbered in order, arguments and JSON answers are parsed, null is absent, text parts are joined and all
other parts are replaced by a digest, functions are tools, and weights are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json, compact_json, without_nulls
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.message_writer import MessageWriter, digest, json_or_text, whole_numbers
from pytest_finetune.verdicts.evalset.messages import is_weight_zero

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.shapes.row import ChatRow

_SYSTEM = ("system", "developer")
_NOTHING_MORE: tuple[Any, ...] = ([], None, [])


@dataclass(frozen=True, slots=True)
class Example:
    """
    One prompt with its answer, in canonical form.

    Args:
        file: Name of the file in findings.
        line: 1-based line number.
        system: The system prompt; empty if there is none.
        question: The user messages of all turns.
        parts: Hash of the parts of the prompt that are not text, such as pictures; empty if there are none.
        answer: The text of the answer or refusal; None if the answer consists of tool calls.
        tools: The tools as canonical JSON; empty if there are none.
        prompt_id: Hash of tools and messages before the answer; whitespace is normalized.
        answer_id: Hash of the answer; whitespace is normalized.
        row_id: Hash of everything that is learned from the row, with its weights and whitespace.
        is_learned: Whether the answer is learned, that is, its weight is not 0.
        is_pair: Whether the row has an answer that is not preferred, too.
    """

    file: str
    line: int
    system: str
    question: str
    parts: bytes
    answer: str | None
    tools: str
    prompt_id: bytes
    answer_id: bytes
    row_id: bytes
    is_learned: bool = True
    is_pair: bool = False


def example_of_row(file: str, line: int, row: ChatRow) -> Example:
    """The example of a row."""
    writer, prompt = MessageWriter(), row.prompt
    texts = [writer.write(message) for message in prompt]
    parts = b"".join(writer.parts)
    if row.media:
        media = digest(canonical_json(row.media))
        parts, texts = parts + media, [*texts, media.hex()]
    answer = canonical_json(without_nulls(row.reference)) if row.reference else writer.write(row.answer)
    # A weight of 1 is the default.
    unlearned = [index for index, each in enumerate(row.messages) if is_weight_zero(each)]
    more: tuple[Any, ...] = (unlearned, row.parallel_tool_calls, [writer.write(each) for each in row.rejected])
    tools = canonical_json(without_nulls(row.tools)) if row.tools else ""
    # A prompt may have many pairs of answers; they conflict only if the same two are in the other order.
    pair = sorted([answer, "\0".join(map(writer.write, row.rejected))]) if row.rejected else []
    return _example(
        (file, line),
        prompt,
        "\0".join([tools, *texts, *pair]),
        (_answer_text_or_none(row), answer),
        tools,
        parts=parts,
        more="" if more == _NOTHING_MORE else canonical_json(more),
        is_learned=bool(row.reference) or len(row.messages) - 1 not in unlearned,
        is_pair=bool(pair),
    )


def example_of_case(file: str, case: Case, tools: Sequence[Mapping[str, Any]]) -> Example:
    """The example of an eval case; `tools` are those of the eval set, used for cases without tools of their own."""
    prompt = [message.to_wire() for message in case.messages]
    writer = MessageWriter()
    texts = [writer.write(message) for message in prompt]
    parts = b"".join(writer.parts)
    if case.tool_calls:
        calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in case.tool_calls]
        text, answer = None, writer.write({"role": "assistant", "tool_calls": calls})
    else:
        expected = case.expected[0] if len(case.expected) == 1 else list(case.expected)
        text = expected if type(expected) is str else None
        answer = canonical_json(whole_numbers(expected)) if text is None else json_or_text(text)
    found = case.tools or tools
    offered = canonical_json(without_nulls(list(found))) if found else ""
    return _example((file, case.line), prompt, "\0".join([offered, *texts]), (text, answer), offered, parts=parts)


def _example(
    place: tuple[str, int],
    prompt: Sequence[Mapping[str, Any]],
    prompt_text: str,
    answer: tuple[str | None, str],
    tools: str,
    *,
    parts: bytes,
    more: str = "",
    is_learned: bool = True,
    is_pair: bool = False,
) -> Example:
    """An example from the canonical texts of its prompt (`prompt_text`) and of its answer, and what else is learned."""
    text, written = answer
    return Example(
        *place,
        system_text(prompt),
        _texts_of(("user",), prompt),
        digest(parts.hex()) if parts else b"",
        text,
        tools,
        _squeezed(prompt_text),
        _squeezed(written),
        digest(f"{prompt_text}\0\0{written}\0{more}"),
        is_learned,
        is_pair,
    )


def system_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """The text of all system and developer messages."""
    return _texts_of(_SYSTEM, messages)


def prompt_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """The text of all messages except system messages."""
    return "\n".join(text_of(message.get("content")) for message in messages if message.get("role") not in _SYSTEM)


def answer_text(row: ChatRow) -> str:
    """The answer: its text or refusal, its tool calls as JSON, or what the grader compares an answer with."""
    if row.reference:
        return compact_json(row.reference)
    text = _answer_text_or_none(row)
    return compact_json(row.answer["tool_calls"]) if text is None else text


def text_of(content: object) -> str:
    """The text of a message's content, with its parts joined."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def field_of(text: str, key: str) -> str | None:
    """One value of a JSON answer; None if the answer is not an object or lacks the key."""
    try:
        return field_text(parse_json(text), key)
    except JsonFault:
        return None


def field_text(value: object, key: str) -> str | None:
    """One value of a JSON object as text; None if it is not an object or lacks the key."""
    if not isinstance(value, dict) or key not in value:
        return None
    found = value[key]
    return found if isinstance(found, str) else compact_json(found)


def _answer_text_or_none(row: ChatRow) -> str | None:
    message = row.answer
    text = text_of(message.get("content"))
    if message.get("tool_calls") or row.reference:
        return None
    refusal = message.get("refusal")
    return text or (refusal if isinstance(refusal, str) else "")


def _texts_of(roles: Collection[str], messages: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(text_of(message.get("content")) for message in messages if message.get("role") in roles)


def _squeezed(text: str) -> bytes:
    return digest(" ".join(text.split()))
