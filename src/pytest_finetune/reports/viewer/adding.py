"""A reviewed case becomes a line of an eval set, with the answer that a person expects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import EvalSetError, FinetuneError
from pytest_finetune.base.files import write_file
from pytest_finetune.verdicts.evalset.discovery import eval_set_name, find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Case, Message

_ROLES = frozenset({"system", "developer", "user", "assistant"})


def project_sets(root: Path) -> dict[str, Path]:
    """The eval sets of the project by name."""
    paths = find_eval_sets([root], root=root, patterns=configured_patterns(root))
    return {eval_set_name(path, root): path for path in paths}


def add_case(root: Path, name: str, case: Case, expected: str) -> str:
    """
    Append a case to an eval set; the file is left as it was if it could not be loaded afterwards.

    Args:
        root: The project.
        name: Name of one of its eval sets.
        case: The case whose prompt, tags and metadata are taken.
        expected: The answer that is right.

    Returns:
        The id of the new line.

    Raises:
        FinetuneError: There is no such set, the case does not fit on a line, or the line does not fit into the set.
    """
    path = project_sets(root).get(name)
    if path is None:
        raise EvalSetError("there is no such eval set", name, "choose one of the project's eval sets")
    before = path.read_bytes()
    known = {one.id for one in load_eval_sets([path], root=root)[0].cases}
    row = _row(case, expected, known)
    line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
    write_file(path, before + (b"" if not before or before.endswith(b"\n") else b"\n") + line)
    try:
        load_eval_sets([path], root=root)
    except FinetuneError:
        write_file(path, before)
        raise
    return str(row["id"])


def _row(case: Case, expected: str, known: set[str]) -> dict[str, Any]:
    if case.id in known:
        problem = f"the eval set has a case {case.id!r} already"
        raise EvalSetError(problem, "expected", "change the expected answer in its line")
    messages = [_message(message) for message in case.messages]
    if case.tool_calls or None in messages:
        problem = "tool calls, pictures and audio cannot be added here"
        raise EvalSetError(problem, case.id, "copy the line from its eval set")
    row: dict[str, Any] = {
        "id": case.id,
        "messages": [*messages, {"role": "assistant", "content": expected}],
    }
    if case.tags:
        row["tags"] = list(case.tags)
    if case.metadata:
        row["metadata"] = dict(case.metadata)
    return row


def _message(message: Message) -> dict[str, str] | None:
    """The message as plain text; None if it is more than that."""
    if not isinstance(message.content, str) or message.extra or message.role not in _ROLES:
        return None
    return {"role": message.role, "content": message.content}
