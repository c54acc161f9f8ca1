"""Faults of `[scorer.fields]` and of `accept`, each reported where it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.verdicts.scoring.scorers.json import JsonScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.evalset import EvalSet

    Fault = tuple[str, str, str]


@pytest.mark.parametrize(
    ("toml", "line", "problem", "hint"),
    [
        ('"$.amont"]\ncompare = "casefold"', 3, "no case expects $.amont", "did you mean '$.amount'?"),
        ('"amount"]\ncompare = "set"', 3, "'amount' is not a JSON path", "write $.city, $.items[0].sku"),
        ('"$.amount"]\ncompare = "nummber"', 4, "Input should be 'exact', 'casefold'", ""),
        ('"$.amount"]\ncompar = "number"', 4, "unknown key", "did you mean 'compare'?"),
        ('"$.amount"]\ncompare = "number"', 3, "number needs a tolerance", "add absolute = … or relative = …"),
        ('"$.amount"]\nabsolute = 1', 3, "absolute has no effect with compare = 'exact'", "use compare = 'number'"),
        ('"$.name"]\ncompare = "fuzzy"', 3, "fuzzy needs threshold", "the lowest similarity that passes"),
        (
            '"$.name"]\ncompare = "date"\nformats = ["%d.%m"]',
            5,
            "'%d.%m' is not the format of a date",
            "as in Python's",
        ),
        ('"$.name"]', 3, "the table is empty", "say how the field is compared"),
        ('"$.name"]\ncompare = "set"\n[scorer.fields.\'$["name"]\']\noptional = true', 1, "two tables", "keep one"),
    ],
)
def test_a_table_that_would_compare_nothing_is_a_fault(
    fault: Callable[..., Fault], toml: str, line: int, problem: str, hint: str
) -> None:
    lines = [{"id": "a", "input": "?", "expected": {"amount": 3, "name": "x"}}]
    found = fault(lines, f'[scorer]\ntype = "json"\n[scorer.fields.{toml}\n')
    assert problem in found[1]
    assert hint in found[2]
    assert found[0] == f"set.toml:{line}", found


@pytest.mark.parametrize(
    ("accept", "problem"),
    [
        ({"$.ciyt.name": ["x"]}, "accept: nothing is expected at $.ciyt.name; did you mean '$.city.name'?"),
        ({"city": ["x"]}, "accept: 'city' is not a JSON path"),
        ({"$.city": "x"}, "accept at $.city is not a list of values"),
        ({"$.city": []}, "accept at $.city is not a list of values"),
        (["x"], "accept is an array"),
    ],
)
def test_an_accept_without_effect_is_a_fault(fault: Callable[..., Fault], accept: Any, problem: str) -> None:
    line = {"id": "a", "input": "?", "expected": {"city": {"name": "Oslo"}}, "accept": accept}
    assert fault([line], 'scorer = "json"\n')[1].startswith(problem)


def test_accept_is_refused_where_the_scorer_does_not_read_it(fault: Callable[..., Fault]) -> None:
    line = {"id": "a", "input": "?", "expected": "x", "accept": {"$.a": [1]}}
    assert fault([line]) == (
        "set.jsonl:1",
        "accept has no effect on scorer 'exact'",
        "expect a list: any of it is right",
    )


def test_accept_is_part_of_the_cases_hash(load: Callable[..., EvalSet]) -> None:
    line: dict[str, Any] = {"id": "a", "input": "?", "expected": {"a": 1}}
    hashes = {
        load([line | more], 'scorer = "json"\n').cases_sha256
        for more in ({}, {"accept": {"$.a": [2]}}, {"accept": {"$.a": [3]}}, {"accept": {'$["a"]': [3]}})
    }
    assert len(hashes) == 3


def test_optional_and_default_may_be_of_a_field_that_no_case_expects(load: Callable[..., EvalSet]) -> None:
    toml = '[scorer]\ntype = "json"\n[scorer.fields."$.unit"]\ndefault = "C"\n'
    assert isinstance(load([{"id": "a", "input": "?", "expected": {"a": 1}}], toml).scorer, JsonScorer)
