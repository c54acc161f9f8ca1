from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Case, Completion, ToolCall
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.scoring import make_scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.scorer import Scorer


@pytest.fixture
def scorer(tmp_path: Path) -> Callable[..., Scorer]:
    """Make a scorer from settings; a `schema` given as a value is written to a file next to the eval set."""

    def make(name: str = "exact", **settings: Any) -> Scorer:
        if isinstance(settings.get("schema"), dict):
            (tmp_path / "answer.schema.json").write_text(json.dumps(settings["schema"]), encoding="utf-8")
            settings["schema"] = "answer.schema.json"
        return make_scorer(EvalSettings.model_validate({"scorer": name, **settings}), tmp_path)

    return make


@pytest.fixture
def case() -> Callable[..., Case]:
    """A case that expects these answers."""

    def make(*expected: Any, calls: Iterable[tuple[str, str]] = (), tools: Iterable[dict[str, Any]] = ()) -> Case:
        tool_calls = tuple(ToolCall(name, arguments) for name, arguments in calls)
        return Case("one", 1, (), expected=expected, tool_calls=tool_calls, tools=tuple(tools))

    return make


@pytest.fixture
def calling() -> Callable[..., Completion]:
    """A completion that calls these functions."""

    def make(*calls: tuple[str, str], **fields: Any) -> Completion:
        tool_calls = tuple(ToolCall(name, arguments) for name, arguments in calls)
        return Completion("", **{"finish_reason": "tool_calls", **fields}, tool_calls=tool_calls)

    return make
