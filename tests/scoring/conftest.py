from __future__ import annotations

import json

import pytest

from pytest_finetune.evalset.settings import EvalSettings
from pytest_finetune.records import Case, Completion, ToolCall
from pytest_finetune.scoring import make_scorer


@pytest.fixture
def scorer(tmp_path: Path) -> None:
    """Make a scorer from settings; a `schema` given as a value is written to a file beside the eval set."""

    def make(name: str = "exact", **settings: Any) -> None:
        if isinstance(settings.get("schema"), dict):
            (tmp_path / "answer.schema.json").write_text(json.dumps(settings["schema"]), encoding="utf-8")
            settings["schema"] = "answer.schema.json"
        return make_scorer(EvalSettings.model_validate({"scorer": name, **settings}), tmp_path)

    return make


@pytest.fixture
def case() -> None:
    """A case that expects these answers."""

    def make(*expected, calls=(), tools=()):
        tool_calls = tuple(ToolCall(name, arguments) for name, arguments in calls)
        return Case("one", 1, (), expected=expected, tool_calls=tool_calls, tools=tuple(tools))

    return make


@pytest.fixture
def calling() -> None:
    """A completion that calls these functions."""

    def make(*calls: Any, **fields: Any) -> None:
        tool_calls = tuple(ToolCall(name, arguments) for name, arguments in calls)
        return Completion("", **{"finish_reason": "tool_calls", **fields}, tool_calls=tool_calls)

    return make
