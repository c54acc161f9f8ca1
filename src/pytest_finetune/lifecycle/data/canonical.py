"""
The canonical form of a row: what its duplicates, conflicts and leaks are found by, whatever its shape and spelling.

Call ids are numbered in order, arguments and JSON answers are parsed, null is absent, text parts are joined and all
other parts are replaced by a digest, functions are tools, and weights are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json, compact_json, without_nulls
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.verdicts.evalset.messages import is_weight_zero

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_finetune.base.json_text import Json
    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.shapes.row import ChatRow

_TEXTS = ("text", "input_text", "output_text")
_SYSTEM = ("system", "developer")
_PLAIN = {"role", "content"}
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


def example_of_row(file: str, line: int, row: ChatRow) -> Example:
    """The example of a row."""
    writer, prompt = _Writer(), row.prompt
    texts = [writer.write(message) for message in prompt]
    parts = b"".join(writer.parts)
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
    )


def example_of_case(file: str, case: Case, tools: Sequence[Mapping[str, Any]]) -> Example:
    """The example of an eval case; `tools` are those of the eval set, used for cases without tools of their own."""
    prompt = [message.to_wire() for message in case.messages]
    writer = _Writer()
    texts = [writer.write(message) for message in prompt]
    parts = b"".join(writer.parts)
    if case.tool_calls:
        calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in case.tool_calls]
        text, answer = None, writer.write({"role": "assistant", "tool_calls": calls})
    else:
        expected = case.expected[0] if len(case.expected) == 1 else list(case.expected)
        text = expected if type(expected) is str else None
        answer = canonical_json(_whole(expected)) if text is None else _json_or_text(text)
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


def digest(text: str) -> bytes:
    """A 12-byte hash of a text; among a billion texts two share a hash with a probability of about 10^-11."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


class _Writer:
    """Writes the messages of one row; call ids are numbered across them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._ids: dict[str, int] = {}

    def write(self, message: Mapping[str, Any]) -> str:
        role, content = message.get("role"), message.get("content")
        role = "system" if role == "developer" else role
        # Nearly all messages have only a role and a content.
        if type(content) is str and message.keys() == _PLAIN and role != "tool":
            return f"{role}\1{_json_or_text(content) if role == 'assistant' else content}"
        content = self._content(content)
        if role in ("assistant", "tool") and type(content) is str:
            content = _json_or_text(content)
        rest: dict[str, Any] = {
            "calls": [self._call(each) for each in _list_of(message.get("tool_calls"))],
            "answers": self._number(message.get("tool_call_id")),
            "name": message.get("name"),
            "refusal": message.get("refusal"),
        }
        rest = {key: item for key, item in rest.items() if item}
        if type(content) is not str:
            return f"{role}\1{canonical_json(content)}\1{canonical_json(rest)}"
        return f"{role}\1{content}\1{canonical_json(rest)}" if rest else f"{role}\1{content}"

    def _content(self, content: Json) -> Json:
        """Text, or a list of texts and digests; null is an empty text."""
        if not isinstance(content, list | tuple):
            return "" if content is None else content
        joined: list[Any] = []
        for part in content:
            if isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str):
                if joined and type(joined[-1]) is str:
                    joined[-1] += part["text"]
                elif part["text"]:
                    joined.append(part["text"])
            elif isinstance(part, dict) and part.get("type") == "refusal":
                joined.append({"refusal": part.get("refusal")})
            else:
                found = digest(canonical_json(_plain_part(part)))
                self.parts.append(found)
                joined.append({"part": found.hex()})
        if not joined:
            return ""
        return joined[0] if len(joined) == 1 and type(joined[0]) is str else joined

    def _call(self, call: Json) -> Json:
        if not isinstance(call, dict) or not isinstance(function := call.get("function"), dict):
            return call
        return [self._number(call.get("id")), function.get("name"), _parsed(function.get("arguments"))]

    def _number(self, name: object) -> int:
        """The number of a call id in order of first occurrence, from 1; 0 for none."""
        return self._ids.setdefault(name, len(self._ids) + 1) if type(name) is str else 0


def _plain_part(part: Json) -> Json:
    """A part without what does not change it: nulls, and the default of `detail`; an address may be an object."""
    if not isinstance(part, dict):
        return part
    found: dict[str, Any] = without_nulls(part)
    image = found.get("image_url")
    if isinstance(image, str):
        image = {"url": image}
    if isinstance(image, dict):
        found |= {"image_url": {key: item for key, item in image.items() if (key, item) != ("detail", "auto")}}
    return found


def _json_or_text(text: str) -> str:
    """An object or list as canonical JSON; other text without whitespace at its ends."""
    bare = text.strip()
    if not bare.startswith(("{", "[")):
        return bare
    value = _parsed(bare)
    return bare if type(value) is str else canonical_json(value)


def _parsed(arguments: Json) -> Json:
    """JSON text as its value; other text as it is."""
    if type(arguments) is not str:
        return _whole(arguments)
    try:
        return _whole(parse_json(arguments))
    except (JsonFault, RecursionError):
        return arguments


def _whole(value: Json) -> Json:
    """The value with 1 for 1.0, which are the same number in JSON."""
    if type(value) is float and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


def _answer_text_or_none(row: ChatRow) -> str | None:
    message = row.answer
    text = text_of(message.get("content"))
    if message.get("tool_calls") or row.reference:
        return None
    refusal = message.get("refusal")
    return text or (refusal if isinstance(refusal, str) else "")


def _texts_of(roles: Collection[str], messages: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(text_of(message.get("content")) for message in messages if message.get("role") in roles)


def _list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _squeezed(text: str) -> bytes:
    return digest(" ".join(text.split()))
