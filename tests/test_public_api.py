"""The public API: the names of the package, each documented in docs/api.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_finetune

PAGE = (Path(__file__).parents[1] / "docs/api.md").read_text("utf-8")
NAMES = [
    "Case",
    "CheckOptions",
    "Completion",
    "DataError",
    "Entry",
    "EvalSet",
    "EvalSetErrors",
    "EvaluationResult",
    "Failure",
    "FinetuneError",
    "FormatFailure",
    "Gate",
    "Interval",
    "Measure",
    "Message",
    "ModelRouter",
    "Registry",
    "RegistryError",
    "Request",
    "Route",
    "Run",
    "RunError",
    "RunStore",
    "Sample",
    "SampleResult",
    "Score",
    "Scorer",
    "ScorerError",
    "SetResult",
    "State",
    "Status",
    "Summary",
    "Target",
    "ToolCall",
    "Usage",
    "Verdict",
    "VersionStatus",
    "check_data",
    "evaluate",
    "evaluate_async",
    "load_eval_set",
    "load_eval_sets",
    "read_registry",
]


def test_the_names_are_these():
    assert pytest_finetune.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_a_docstring(name):
    found = getattr(pytest_finetune, name)
    assert found.__name__ == name.replace("check_data", "check")
    assert found.__doc__


def test_the_page_lists_each_name_once():
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == NAMES


def test_another_name_does_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        pytest_finetune.Nonsense  # noqa: B018 - the access is the test


def test_the_package_says_that_it_is_typed():
    assert Path(pytest_finetune.__file__).with_name("py.typed").exists()
