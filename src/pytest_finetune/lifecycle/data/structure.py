"""Checks the structure of a training row: what a training service rejects, and likely mistakes that it accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_text import type_name
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.images import MOST_IMAGES, image_fault, is_image
from pytest_finetune.verdicts.evalset.messages import ROLE_KEYS, is_weight, is_weight_zero, key_hint, weight_fault

if TYPE_CHECKING:
    from collections.abc import Mapping


class ReportFinding(Protocol):
    """Reports a finding in the row that is being checked."""

    def __call__(self, code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
        """Report a problem at a JSON path with a hint; `other` is a second location, `FILE:LINE`."""


ROW_KEYS = frozenset({"messages", "tools", "functions", "parallel_tool_calls"})
"""The keys of a row in chat format."""

_PLAIN = {"role", "content"}
_PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})
_CONVERT = "convert: pytest-finetune data prepare FILE -o NEW.jsonl"
_KNOWN_ROLES = frozenset({*ROLE_KEYS, "function"})
_ANSWER_LAST = 'end with the answer: {"role": "assistant", "content": "…"}'
_DEPRECATED = {"assistant": "function_call", "function": "name"}


def check_form(row: Mapping[str, Any], report: ReportFinding, *, has_answer: bool = True) -> None:
    """Check keys, messages, roles, contents and weights, and pictures; tools are checked by `ToolsForm`."""
    report = _Once(report, "deprecated_functions")
    messages = row.get("messages")
    if type(messages) is not list or not messages:
        seen = "an empty list" if messages == [] else type_name(messages)
        report("missing_messages_list", f"messages is {seen}", 'write {"messages": […]}', path="$.messages")
        return
    if row.get("functions") is not None:
        report("deprecated_functions", "functions was replaced by tools", _CONVERT, path="$.functions")
    for index, message in enumerate(messages):
        if not _is_plain(message):
            _check_message(message, f"$.messages[{index}]", report)
    _check_images(messages, report)
    if has_answer:
        _check_roles([message.get("role") if type(message) is dict else None for message in messages], report)
        _check_answers(messages, report)


class _Once:
    """Passes findings on, but those of one code only once in a row."""

    def __init__(self, report: ReportFinding, code: str) -> None:
        self._report, self._code = report, code
        self._is_reported = False

    def __call__(self, code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
        if code == self._code and self._is_reported:
            return
        self._is_reported = self._is_reported or code == self._code
        self._report(code, problem, hint, path=path, other=other)


def _is_plain(message: object) -> bool:
    """Whether the message needs no further check, which holds for nearly every message."""
    if type(message) is not dict or message.keys() != _PLAIN:
        return False
    role, content = message["role"], message["content"]
    return type(role) is str and role in _PLAIN_ROLES and type(content) is str and content != ""


def _check_message(message: object, path: str, report: ReportFinding) -> None:
    if type(message) is not dict:
        hint = 'write {"role": "user", "content": "…"}'
        report("data_type", f"the message is {type_name(message)}, not an object", hint, path=path)
        return
    role = message.get("role")
    if "role" not in message:
        report("message_missing_key", "the message has no role", f"add one of: {', '.join(ROLE_KEYS)}", path=path)
    elif role == "function":
        report("deprecated_functions", "the role function was replaced by tool", _CONVERT, path=path)
    elif type(role) is not str or role not in ROLE_KEYS:
        problem = f"unknown role {shorten(role)!r}" if type(role) is str else f"the role is {type_name(role)}"
        report("unrecognized_role", problem, did_you_mean(str(role), ROLE_KEYS), path=f"{path}.role")
    else:
        _check_keys(message, ROLE_KEYS[role], path, report)
        _check_content(message, path, report)


def _check_keys(message: dict[str, Any], known: frozenset[str], path: str, report: ReportFinding) -> None:
    role = message["role"]
    for key, item in message.items():
        if item is None:
            continue
        if key == _DEPRECATED.get(role):
            report("deprecated_functions", f"{key} was replaced by tool_calls", _CONVERT, path=f"{path}.{key}")
        elif key not in known:
            problem = f"a message of role {role!r} has no key {shorten(key)!r}"
            report("message_unrecognized_key", problem, key_hint(key, known, message), path=path)
    weight = message.get("weight")
    if role == "assistant" and weight is not None and not is_weight(weight):
        report("invalid_weight", *weight_fault(weight), path=f"{path}.weight")
    if role == "tool" and type(message.get("tool_call_id")) is not str:
        hint = "add the id of the call that this message answers"
        report("message_missing_key", "a tool message has no tool_call_id", hint, path=path)


def _check_content(message: dict[str, Any], path: str, report: ReportFinding) -> None:
    content = message.get("content")
    calls = any(message.get(key) for key in ("tool_calls", "function_call", "refusal"))
    if content is None and not calls:
        if "content" in message:
            report("missing_content", "the content is null", 'write "content": "…"', path=f"{path}.content")
        else:
            report("message_missing_key", "the message has no content", 'write "content": "…"', path=path)
    elif type(content) is list:
        for index, part in enumerate(content):
            _check_part(part, f"{path}.content[{index}]", report)
    elif content is not None and type(content) is not str:
        hint = "write a JSON value as a string"
        report("missing_content", f"the content is {type_name(content)}, not text", hint, path=f"{path}.content")
    if content in ("", []) and not calls:
        hint = "fill it in or remove the row; use a space for an empty input"
        if message.get("role") == "assistant":
            hint = "write the answer, or remove the row"
        report("missing_content", "the content is empty", hint, path=f"{path}.content")


def _check_images(messages: list[Any], report: ReportFinding) -> None:
    count = 0
    for index, message in enumerate(messages):
        content = message.get("content") if type(message) is dict else None
        for at, part in enumerate(content if type(content) is list else ()):
            if type(part) is dict and is_image(part):
                path = f"$.messages[{index}].content[{at}]"
                count += 1
                if fault := image_fault(part):
                    report("invalid_image", *fault, path=path)
                elif message.get("role") == "assistant":
                    hint = "remove it: models are trained to answer with text or tool calls only"
                    report("invalid_image", "an image in an answer", hint, path=path)
    if count > MOST_IMAGES:
        problem = f"{count} images in one row, more than {MOST_IMAGES}"
        report("invalid_image", problem, "split the row, or leave some out", path="$.messages")


def _check_part(part: object, path: str, report: ReportFinding) -> None:
    found: dict[str, Any] = part if type(part) is dict else {}
    kind = found.get("type")
    if type(kind) is not str or (kind == "text" and type(found.get("text")) is not str):
        report("missing_content", "not a valid content part", 'write {"type": "text", "text": "…"}', path=path)


def _check_roles(roles: list[Any], report: ReportFinding) -> None:
    if any(type(role) is not str or role not in _KNOWN_ROLES for role in roles):
        # Already reported; the order of roles can be checked when that is fixed.
        return
    if "assistant" not in roles:
        report("example_missing_assistant_message", "no assistant message", _ANSWER_LAST, path="$.messages")
    elif roles[-1] != "assistant":
        problem = f"the last message is of role {shorten(str(roles[-1]))!r}"
        report("last_message_not_assistant", problem, _ANSWER_LAST, path=f"$.messages[{len(roles) - 1}]")
    if "user" not in roles and "tool" not in roles and "assistant" in roles:
        hint = "add the user's message before the answer"
        report("missing_user_message", "no user message", hint, path="$.messages")


def _check_answers(messages: list[Any], report: ReportFinding) -> None:
    answers = [each for each in messages if type(each) is dict and each.get("role") == "assistant"]
    if answers and all(map(is_weight_zero, answers)):
        hint = "give the answer to learn weight 1, or remove its weight"
        report("nothing_to_learn", "every answer has weight 0", hint, path="$.messages")
    is_after_answer = False
    for index, message in enumerate(messages):
        if type(message) is dict and message.get("role") == "assistant":
            if is_after_answer:
                # "Conversation roles must alternate", from vLLM with Mistral's template: vllm-project/vllm#6862
                hint = "merge the two, or add the user's message between them"
                path = f"$.messages[{index}]"
                report("consecutive_answers", "the message before is an answer too", hint, path=path)
            content = message.get("content")
            if type(content) is str and content != content.strip():
                problem = "the answer starts or ends with whitespace"
                report("surrounding_whitespace", problem, "trim it (--fix does)", path=f"$.messages[{index}].content")
        is_after_answer = type(message) is dict and message.get("role") == "assistant" and not message.get("tool_calls")
