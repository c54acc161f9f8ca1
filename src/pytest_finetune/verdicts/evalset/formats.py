"""Turns a line of any supported shape into a case; a line must have exactly one shape."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_text import canonical_json, type_name
from pytest_finetune.base.records import Case, Message
from pytest_finetune.verdicts.evalset.case_fields import read_accept, read_group, read_id, read_metadata, read_tags
from pytest_finetune.verdicts.evalset.messages import (
    expected_calls,
    expected_text,
    key_hint,
    read_message,
    read_tools,
    refuse_unknown,
)
from pytest_finetune.verdicts.shapes import find_shape
from pytest_finetune.verdicts.shapes.reinforcement import REFERENCES
from pytest_finetune.verdicts.shapes.row import RowFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.base.records import ToolCall
    from pytest_finetune.verdicts.evalset.reading import Faults

    _Prompt = tuple[Message, ...]

_COMMON = frozenset({"id", "tags", "metadata", "accept", "group"})
_KEYS = {
    "messages": _COMMON | {"messages", "tools", "parallel_tool_calls"},
    "expected": _COMMON | {"system", "input", "expected"},
    "output": _COMMON | {"system_prompt", "input", "output"},
    "ideal": _COMMON | {"input", "ideal"},
    "target": _COMMON | {"input", "target"},
    "expected_output": _COMMON | {"input", "expected_output"},
}
"""The shapes, each by the key that holds its expected answer, with every key it knows."""

_OWN = frozenset({"chat", "input-output"})
_WITH_ANSWERS = frozenset({"alpaca", "sharegpt", "xlam", "prompt-completion"})
"""Shapes of training data, by name, that have an answer to expect."""

_ALL_KEYS = frozenset().union(*_KEYS.values())
_SHAPES_HINT = 'write {"input": …, "expected": …} or {"messages": […]}; docs/eval-sets.md shows every shape'


class CaseReader:
    """
    Reads the lines of one file; system prompts and tools that lines share are stored once.

    Args:
        faults: Collects the faults, at its current line.

    Attributes:
        unsent: Keys in the lines that were accepted but are not sent.
    """

    def __init__(self, faults: Faults) -> None:
        self.unsent: set[str] = set()
        self._faults = faults
        self._digest = sha256()
        self._messages: dict[tuple[str, str], Message] = {}
        self._tools: dict[str, tuple[Mapping[str, Any], ...]] = {}

    def read(self, line: int, value: dict[str, Any]) -> Case | None:
        """The case of one line; None when the line has a fault."""
        before = len(self._faults.found)
        foreign = self._as_chat(value)
        if len(self._faults.found) > before:
            return None
        if foreign is not None:
            value = foreign
        shape = self._shape(value)
        if shape is None:
            return None
        messages, expected, calls = self._chat(value) if shape == "messages" else self._input_output(value, shape)
        tools = self._shared_tools(value)
        name, tags = read_id(value.get("id"), self._faults), read_tags(value.get("tags"), self._faults)
        metadata = read_metadata(value.get("metadata"), self._faults)
        accept = read_accept(value.get("accept"), self._faults)
        group = read_group(value.get("group"), self._faults)
        if len(self._faults.found) > before:
            return None
        content = sha256(_content(messages, expected, calls, tools, accept).encode()).hexdigest()
        name = name or content[:12]
        described = (name, tags, metadata, group) if group else (name, tags, metadata)
        self._digest.update(f"{canonical_json(described)}{content}\n".encode())
        return Case(name, line, messages, expected, calls, tools, tags, metadata, accept, group)

    def cases_sha256(self) -> str:
        """Hash of the content of the cases read so far, in order; layout and key order do not change it."""
        return self._digest.hexdigest()

    def _as_chat(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """A line in a shape of training data as a chat; None if it has a shape of eval sets, or none."""
        if value.keys() <= _ALL_KEYS:
            # Every shape of training data has a key of its own.
            return None
        try:
            shape = find_shape(value)
        except RowFault:
            return None
        if shape.name in _OWN:
            return None
        if shape.name not in _WITH_ANSWERS:
            self._faults.add(*_no_case(shape.name, value))
            return None
        refuse_unknown(value, shape.uses | _COMMON, "", self._faults)
        try:
            row = shape.read(value)
        except RowFault as fault:
            self._faults.add(fault.problem, fault.hint)
            return None
        described = {key: value[key] for key in _COMMON if key in value}
        return described | {"messages": row.messages} | ({"tools": row.tools} if row.tools else {})

    def _shape(self, value: dict[str, Any]) -> str | None:
        present = [key for key in value if key in _KEYS]
        found = [key for key in present if value[key] is not None] or present[:1]
        if value.get("messages") is not None and value.get("input") is not None:
            found.append("input")
        if len(found) > 1:
            seen = " and ".join(map(repr, found))
            self._faults.add(f"two shapes at once: {seen}", "keep one of them; put other values into metadata")
            return None
        if not found and "input" not in value:
            self._unknown_shape(value)
            return None
        shape = found[0] if found else "expected"
        known = _KEYS[shape]
        for key, item in value.items():
            if key not in known and item is not None:
                hint = key_hint(key, known if found else _ALL_KEYS, value)
                self._faults.add(f"unknown key {key!r}", hint)
        return shape

    def _unknown_shape(self, value: dict[str, Any]) -> None:
        seen = ", ".join(map(repr, value)) or "none"
        close = [
            hint for key in value if key not in _COMMON and (hint := did_you_mean(key, {*_KEYS, "input"}))[0] == "d"
        ]
        self._faults.add(f"unknown shape; its keys: {seen}", "; ".join(close) or _SHAPES_HINT)

    def _chat(self, value: dict[str, Any]) -> tuple[_Prompt, tuple[Any, ...], tuple[ToolCall, ...]]:
        if value.get("parallel_tool_calls") is not None:
            self.unsent.add("parallel_tool_calls")
        messages = self._read_messages(value["messages"], "messages")
        if not messages:
            return (), (), ()
        *prompt, answer = messages
        where = f"messages[{len(prompt)}]"
        if answer.role != "assistant":
            self._faults.add(
                f"the last message is of role {answer.role!r}, and no answer is expected",
                'end with the expected answer: {"role": "assistant", "content": "…"}',
            )
        elif "refusal" in answer.extra:
            self._faults.add(f"{where} expects a refusal", "expect text or tool calls; score refusals by a function")
        elif not prompt:
            self._faults.add("no prompt: the answer is the only message", "put the prompt before it")
        text = expected_text(answer, where, self._faults)
        return tuple(prompt), () if text is None else (text,), expected_calls(answer)

    def _input_output(self, value: dict[str, Any], shape: str) -> tuple[_Prompt, tuple[Any, ...], tuple[ToolCall, ...]]:
        given = value.get("input")
        if type(given) is str:
            messages: _Prompt = (Message("user", given),)
        elif type(given) is list:
            messages = self._prompt(given, shape)
        else:
            found = type_name(given) if "input" in value else "not there"
            self._faults.add(f"input is {found}", "input is text or a list of messages")
            return (), (), ()
        return (*self._system(value, messages), *messages), self._expected(value, shape), ()

    def _prompt(self, given: list[Any], shape: str) -> tuple[Message, ...]:
        messages = self._read_messages(given, "input")
        if messages and messages[-1].role == "assistant":
            self._faults.add("input ends with the assistant's answer", f"put the expected answer into {shape!r}")
        return messages

    def _read_messages(self, value: Any, where: str) -> tuple[Message, ...]:
        """All messages, or none when one of them has a fault."""
        if type(value) is not list or not value:
            found = "an empty list" if value == [] else type_name(value)
            self._faults.add(f"{where} is {found}", 'write a list: [{"role": "user", "content": "…"}]')
            return ()
        read = [
            self._share(message)
            for index, item in enumerate(value)
            if (message := read_message(item, f"{where}[{index}]", self._faults)) is not None
        ]
        return tuple(read) if len(read) == len(value) else ()

    def _share(self, message: Message) -> Message:
        if message.role in ("system", "developer") and type(message.content) is str and not message.extra:
            return self._messages.setdefault((message.role, message.content), message)
        return message

    def _system(self, value: dict[str, Any], messages: tuple[Message, ...]) -> tuple[Message, ...]:
        key = "system" if value.get("system_prompt") is None else "system_prompt"
        text = value.get(key)
        if text is None:
            return ()
        if type(text) is not str:
            self._faults.add(f"{key} is {type_name(text)}, not text", "write the system prompt in quotes")
            return ()
        if any(message.role in ("system", "developer") for message in messages):
            self._faults.add(f"two system prompts: in {key!r} and in input", "keep one of them")
        return (self._share(Message("system", text)),)

    def _expected(self, value: dict[str, Any], key: str) -> tuple[Any, ...]:
        """The acceptable answers; a list means any of them."""
        if key not in value:
            return ()
        answers = value[key]
        if answers is None or answers == []:
            found = type_name(answers) if answers is None else "an empty list"
            self._faults.add(f"{key} is {found}", "leave it out if nothing is expected; [null] expects the value null")
        return tuple(answers) if type(answers) is list else (answers,)

    def _shared_tools(self, value: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
        if value.get("tools") is None:
            return ()
        text = canonical_json(value["tools"])
        if text not in self._tools:
            before = len(self._faults.found)
            tools = read_tools(value["tools"], self._faults)
            if len(self._faults.found) > before:
                return ()
            self._tools[text] = tools
        return self._tools[text]


def _no_case(shape: str, value: Mapping[str, Any]) -> tuple[str, str]:
    """Problem and hint for a line in a shape of training data that has no expected answer."""
    if shape == "reinforcement":
        prompt = "messages" if value.get("messages") is not None else "prompt"
        answer = next((name for name in REFERENCES if value.get(name) is not None), "COLUMN")
        hint = f"name it: pytest-finetune data prepare FILE -o SET.jsonl --map input={prompt} --map output={answer}"
        return "a row for reinforcement fine-tuning, which has no expected answer", hint
    return "preference data, which has no expected answer", _SHAPES_HINT


def _content(
    messages: tuple[Message, ...],
    expected: tuple[Any, ...],
    calls: tuple[ToolCall, ...],
    tools: tuple[Mapping[str, Any], ...],
    accept: Mapping[str, Any],
) -> str:
    prompt = [message.to_wire() if message.extra else (message.role, message.content) for message in messages]
    content = (prompt, expected, [(call.name, call.arguments) for call in calls], tools)
    # Hashes of lines without it stay as they were.
    return canonical_json((*content, accept) if accept else content)
