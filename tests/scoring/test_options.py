"""Faults of the table `[scorer]`: where they are, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.scoring.options import OptionFault, option_faults
from pytest_finetune.verdicts.scoring.scorers.json import JsonScorer
from pytest_finetune.verdicts.scoring.scorers.judge import JudgeScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

FUZZY = {"compare": "fuzzy", "threshold": 0.9}
JUDGE = {"model": "j", "rubric": "Be kind."}


def faults(scorer: type[Any], **options: Any) -> list[OptionFault]:
    return list(option_faults(scorer, options, other_keys=["labels"]))


def test_an_unknown_key_is_named_with_what_was_probably_meant() -> None:
    assert faults(JsonScorer, field={}) == [OptionFault(("field",), "unknown key", "did you mean 'fields'?")]
    assert faults(JudgeScorer, **JUDGE, label=[])[0].hint == "did you mean 'labels'?"
    assert faults(JudgeScorer, **JUDGE, typ="judge")[0].hint == "did you mean 'type'?"


def test_an_unknown_key_of_a_table_is_named_with_the_tables_own_keys() -> None:
    (found,) = faults(JsonScorer, fields={"$.a": {**FUZZY, "treshold": 0.9}})
    assert found == OptionFault(("fields", "$.a", "treshold"), "unknown key", "did you mean 'threshold'?")
    (found,) = faults(JudgeScorer, **JUDGE, score={"min": 1, "max": 5, "pass_at_least": 4, "pass_at_most": 5})
    assert (found.path, found.hint) == (("score", "pass_at_most"), "did you mean 'pass_at_least'?")


def test_a_missing_key_is_named_with_what_to_write() -> None:
    assert faults(JudgeScorer, rubric="r") == [
        OptionFault((), "needs model", 'name the model that judges: model = "gpt-4.1-2025-04-14"')
    ]
    (found,) = faults(JudgeScorer, **JUDGE, score={"min": 1, "max": 5})
    assert found == OptionFault(("score",), "needs pass_at_least", "add pass_at_least = …")


class Criterion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    weight: int = Field(default=1, description="weight = 2")


class Rubric(BaseModel):
    criteria: list[Criterion]
    by_language: dict[str, list[Criterion]] = Field(default_factory=dict)


class Options(BaseModel):
    rubric: Rubric


class NestedScorer:
    """A scorer from outside whose options are tables in lists of a table."""

    options = Options
    settings = frozenset[str]()


def test_faults_in_tables_of_any_depth_are_named_with_their_path() -> None:
    criteria = [{"name": "a"}, {"nam": "b", "weight": "x"}]
    place = ("rubric", "criteria", 1)
    assert faults(NestedScorer, rubric={"criteria": criteria}) == [
        OptionFault(place, "needs name", "add name = …"),
        OptionFault(
            (*place, "weight"), "Input should be a valid integer, unable to parse string as an integer", "weight = 2"
        ),
        OptionFault((*place, "nam"), "unknown key", "did you mean 'name'?"),
    ]
    (found,) = faults(NestedScorer, rubric={"criteria": [], "by_language": {"de": [{"name": "a", "weigth": 2}]}})
    assert found.path == ("rubric", "by_language", "de", 0, "weigth")
    assert found.hint == "did you mean 'weight'?"


def test_a_path_that_is_none_is_a_fault_of_that_table() -> None:
    (found,) = faults(JsonScorer, fields={"$.a[": FUZZY})
    assert found.path == ("fields", "$.a[")


def test_two_tables_for_one_field_are_refused() -> None:
    (found,) = faults(JsonScorer, fields={"$.a": FUZZY, '$["a"]': FUZZY, "$.b": FUZZY})
    assert (found.path, found.problem, found.hint) == (
        ("fields",), "two tables are for one field", "keep one of them",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "table", "wrong"),
    [
        ("$.a.b", FUZZY, False),
        ("$.a.c", FUZZY, True),
        ("$.a.c", {"optional": True}, False),
        ("$.a.c", {"default": 0}, False),
        ("$.a.b.c", {"default": 0}, False),
        ("$.x.y", {"optional": True}, True),
        ("$.x.y", {"default": 0}, True),
    ],
)
@pytest.mark.parametrize("name", ["json", "tool_call"])
def test_a_field_that_no_case_can_have_is_a_fault(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str, path: str, table: dict[str, Any], *, wrong: bool
) -> None:
    path = path if name == "json" else f"$.f{path.removeprefix('$')}"
    made = scorer(name, scorer_options={"fields": {path: table}})
    planned = case({"a": {"b": "x"}}) if name == "json" else case(calls=[("f", '{"a": {"b": "x"}}')])
    assert [fault.path for fault in made.faults([planned])] == ([("fields", path)] if wrong else [])
    assert list(scorer(name).faults([planned])) == []
    if wrong and table is FUZZY:
        (fault,) = made.faults([planned])
        assert fault.problem == f"no case expects {path}"
        assert fault.hint == f"did you mean '{path.replace('a.c', 'a.b')}'?"


def test_a_field_that_only_a_second_call_has_is_known(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("tool_call", scorer_options={"fields": {"$.f.b": FUZZY}})
    assert list(made.faults([case(calls=[("f", '{"a": "x"}'), ("f", '{"b": "y"}')])])) == []


def test_the_scorers_table_is_refused_with_its_first_fault(scorer: Callable[..., Any]) -> None:
    with pytest.raises(ScorerError, match="two tables are for one field"):
        scorer("json", scorer_options={"fields": {"$.a": FUZZY, '$["a"]': FUZZY}})
