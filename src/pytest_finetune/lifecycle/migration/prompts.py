"""Prompts without expected answers as an eval set in which every answer passes, so that a model can be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError, EvalSetErrors
from pytest_finetune.base.json_text import compact_json
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, format_of, read_raw
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ANY_ANSWER = "(?s).*"
_SETTINGS = '# Prompts without expected answers: every answer passes.\nscorer = "regex"\nnormalize = []\n'


def as_eval_set(path: Path, *, folder: Path) -> Path:
    """
    The file itself if it is an eval set, else a copy of its prompts as one.

    Rows have `messages`, `prompt` or `input`, or are the requests of a batch; an answer at the end is left out.

    Args:
        path: JSONL, JSON, CSV or TSV.
        folder: Where the copy is written, as `NAME.jsonl` with its settings.

    Raises:
        DataError: The file cannot be read, or a row has no prompt.
    """
    if path.suffix == ".jsonl":
        try:
            load_eval_sets([path], root=path.parent)
        except EvalSetErrors:
            pass
        else:
            return path
    lines = []
    for row in read_raw(path, form=format_of(path)):
        if isinstance(row, LeftOut):
            raise DataError(row.reason, f"{path}:{row.line}", "is the file complete?")
        lines.append(compact_json(_case(row.value, f"{path}:{row.line}")) + "\n")
    if not lines:
        raise DataError("no prompts", str(path), "each row has messages, a prompt or an input")
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{path.stem}.jsonl"
    copy.write_text("".join(lines), encoding="utf-8")
    copy.with_suffix(".toml").write_text(_SETTINGS, encoding="utf-8")
    return copy


def _case(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    request = row["body"] if isinstance(row.get("body"), dict) else row
    given = next((request[key] for key in ("messages", "prompt", "input") if request.get(key)), None)
    if isinstance(given, list) and given and isinstance(given[-1], dict) and given[-1].get("role") == "assistant":
        given = given[:-1]
    if not given or not isinstance(given, str | list):
        keys = ", ".join(map(repr, row)) or "none"
        hint = "each row has messages, a prompt or an input"
        raise DataError(f"the row has no prompt; its keys: {keys}", where, hint)
    tools = {"tools": request["tools"]} if isinstance(request.get("tools"), list) and request["tools"] else {}
    return {"input": given, "expected": _ANY_ANSWER, **tools}
