"""A reviewed case becomes a line of an eval set, with the answer that a person expects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_finetune.base.errors import EvalSetError, FinetuneError
from pytest_finetune.base.files import write_file
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.verdicts.evalset.discovery import eval_set_name, find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns
from pytest_finetune.verdicts.evalset.reading import Faults
from pytest_finetune.verdicts.evalset.settings_file import read_settings
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Case, Completion, ToolCall

AnswerKind = Literal["label", "json", "tool_call", "text"]
"""How a right answer is written: one of the labels, a JSON value, a JSON list of calls, or text."""


@dataclass(frozen=True, slots=True)
class ProjectSet:
    """
    An eval set of the project that may get new lines.

    Args:
        name: Its name.
        path: The file.
        kind: How its answers are written.
        labels: The labels, if its answers are labels.
    """

    name: str
    path: Path
    kind: AnswerKind = "text"
    labels: tuple[str, ...] = ()


def project_sets(root: Path) -> list[ProjectSet]:
    """The eval sets of the project; settings that cannot be read leave text as the kind of answers."""
    paths = find_eval_sets([root], root=root, patterns=configured_patterns(root))
    return [_project_set(eval_set_name(path, root), path) for path in paths]


def _project_set(name: str, path: Path) -> ProjectSet:
    toml = path.with_suffix(".toml")
    try:
        settings, _ = read_settings(toml.read_bytes(), Faults(toml.name))
    except OSError:
        settings = None
    if settings is None:
        return ProjectSet(name, path)
    kinds: dict[str, AnswerKind] = {"json": "json", "tool_call": "tool_call"}
    labels = tuple(settings.labels or ()) if settings.scorer == "label" else ()
    return ProjectSet(name, path, "label" if labels else kinds.get(settings.scorer, "text"), labels)


def editable(case: Case, completion: Completion | None) -> tuple[str, str]:
    """The expected answer, the first if there are several, and the model's answer, as a person edits them."""
    expected = case.expected[0] if case.expected else ""
    right = _calls_text(case.tool_calls) if case.tool_calls else _value_text(expected)
    if completion is None:
        return right, ""
    return right, _calls_text(completion.tool_calls) if completion.tool_calls else completion.text


def _value_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def _calls_text(calls: Sequence[ToolCall]) -> str:
    return json.dumps([{"name": one.name, "arguments": _arguments(one)} for one in calls], ensure_ascii=False, indent=1)


def _arguments(call: ToolCall) -> object:
    try:
        return json.loads(call.arguments or "{}")
    except ValueError:
        return call.arguments


def add_case(root: Path, name: str, case: Case, expected: str) -> str:
    """
    Append a case to an eval set; the file is left as it was if it could not be loaded afterwards.

    Args:
        root: The project.
        name: Name of one of its eval sets.
        case: The case whose prompt, tools, tags, metadata and group are taken.
        expected: The answer that is right, as `editable` writes it.

    Returns:
        The id of the new line.

    Raises:
        FinetuneError: There is no such set, or the line does not fit into the set.
    """
    target = next((one for one in project_sets(root) if one.name == name), None)
    if target is None:
        raise EvalSetError("there is no such eval set", name, "choose one of the project's eval sets")
    path, before = target.path, target.path.read_bytes()
    known = {one.id for one in load_eval_sets([path], root=root)[0].cases}
    row = _row(target, case, expected, known)
    line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
    write_file(path, before + (b"" if not before or before.endswith(b"\n") else b"\n") + line)
    try:
        load_eval_sets([path], root=root)
    except FinetuneError:
        write_file(path, before)
        raise
    return str(row["id"])


def _answer(target: ProjectSet, expected: str) -> dict[str, Any]:
    """The last message of the line."""
    if target.kind == "tool_call" and expected.lstrip().startswith("["):
        return {"role": "assistant", "tool_calls": [_call(number, one) for number, one in enumerate(_calls(expected))]}
    return {"role": "assistant", "content": expected}


def _calls(expected: str) -> list[dict[str, Any]]:
    hint = 'write a list of calls: [{"name": "f", "arguments": {}}]'
    try:
        calls = parse_json(expected)
    except ValueError as error:
        raise EvalSetError(f"not JSON: {error}", "expected", hint) from None
    if not isinstance(calls, list) or not all(isinstance(one, dict) and {"name"} <= one.keys() for one in calls):
        raise EvalSetError("not a list of calls with names", "expected", hint)
    return calls


def _call(number: int, call: dict[str, Any]) -> dict[str, Any]:
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    function = {"name": call["name"], "arguments": text}
    return {"id": f"call_{number + 1}", "type": "function", "function": function}


def _row(target: ProjectSet, case: Case, expected: str, known: set[str]) -> dict[str, Any]:
    if case.id in known:
        problem = f"the eval set has a case {case.id!r} already"
        raise EvalSetError(problem, "expected", "change the expected answer in its line")
    row = {"id": case.id, "messages": [*(message.to_wire() for message in case.messages), _answer(target, expected)]}
    others = {
        "accept": dict(case.accept) if target.kind in ("json", "tool_call") else {},
        "tools": list(case.tools),
        "tags": list(case.tags),
        "metadata": dict(case.metadata),
        "group": case.group,
    }
    return row | {key: value for key, value in others.items() if value}
