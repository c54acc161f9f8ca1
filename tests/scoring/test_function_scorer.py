from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Case

SOURCE = """
from pytest_finetune.base.records import Score

def same(case, completion):
    return completion.text == case.expected[0]

def detailed(case, completion):
    return Score(passed=False, detail="by a hair")

def breaks(case, completion):
    return 1 / 0

def returns_text(case, completion):
    return "yes"

async def waits(case, completion):
    return True

NUMBER = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a unique name next to the eval set; unloaded after the test."""
    name = f"scorers_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield name
    sys.modules.pop(name, None)


def test_a_function_next_to_the_eval_set_is_used(
    scorer: Callable[..., Any], case: Callable[..., Case], module: str
) -> None:
    before = list(sys.path)
    made = scorer(f"{module}:same")
    assert sys.path == before
    assert made.name == f"{module}:same"
    assert made.blocking
    assert made.check(case()) is None
    assert made.score(case("a"), Completion("a")) == Score(passed=True)
    assert made.score(case("a"), Completion("b")) == Score(passed=False)


def test_a_returned_score_is_used_unchanged(scorer: Callable[..., Any], case: Callable[..., Case], module: str) -> None:
    assert scorer(f"{module}:detailed").score(case(), Completion("b")).detail == "by a hair"


def test_a_missing_answer_is_named_by_its_cause(
    scorer: Callable[..., Any], case: Callable[..., Case], module: str
) -> None:
    assert scorer(f"{module}:same").score(case("a"), Completion("")).format_failure is FormatFailure.EMPTY


def test_an_exception_of_the_function_is_reported_with_its_line(
    scorer: Callable[..., Any], case: Callable[..., Case], module: str
) -> None:
    with pytest.raises(ScorerError, match="ZeroDivisionError") as caught:
        scorer(f"{module}:breaks").score(case(), Completion("a"))
    assert caught.value.where.endswith(f"{module}.py:11")


def test_a_function_must_return_a_verdict(scorer: Callable[..., Any], case: Callable[..., Case], module: str) -> None:
    with pytest.raises(ScorerError, match="returned str"):
        scorer(f"{module}:returns_text").score(case(), Completion("a"))


@pytest.mark.parametrize(
    ("name", "problem", "hint"),
    [
        ("sane", "has no function 'sane'", "did you mean 'same'?"),
        ("", "has no function ''", "known:"),
        ("waits", "is not a plain function", "returns a bool or a Score"),
        ("NUMBER", "is not a plain function", "returns a bool or a Score"),
    ],
)
def test_an_object_that_is_not_a_function_is_refused(
    scorer: Callable[..., Any], module: str, name: str, problem: str, hint: str
) -> None:
    with pytest.raises(ScorerError, match=problem) as caught:
        scorer(f"{module}:{name}")
    assert hint in caught.value.hint


def test_a_module_that_cannot_be_imported_is_an_error(scorer: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "broken_scorer_module.py").write_text("raise RuntimeError('half done')", encoding="utf-8")
    before = list(sys.path)
    with pytest.raises(ScorerError, match="RuntimeError: half done"):
        scorer("broken_scorer_module:f")
    with pytest.raises(ScorerError, match="ModuleNotFoundError"):
        scorer("no_such_module_anywhere:f")
    with pytest.raises(ScorerError, match="cannot be imported"):
        scorer(":f")
    assert sys.path == before
