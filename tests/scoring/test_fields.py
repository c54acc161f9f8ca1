"""Single fields of JSON answers: how they are compared, and what else is right."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.json_path import normal_path, steps_of
from pytest_finetune.base.records import Completion
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.verdicts.evalset.scorer import json_text
from pytest_finetune.verdicts.scoring.json_values import _LONGEST_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

    Fault = tuple[str, str, str]


def fields(**tables: Any) -> dict[str, Any]:
    return {"scorer_options": {"fields": {"$." + path.replace("__", "."): table for path, table in tables.items()}}}


@pytest.mark.parametrize(
    ("table", "expected", "answer", "passed"),
    [
        ({"compare": "number", "absolute": 0.5}, 10, 10.5, True),
        ({"compare": "number", "absolute": 0.5}, 10, 10.51, False),
        ({"compare": "number", "relative": 0.1}, 10, 9, True),
        ({"compare": "number", "relative": 0.1}, 10, 8.9, False),
        ({"compare": "number", "absolute": 5}, 10, "10", False),
        ({"compare": "number", "absolute": 5}, 1, True, False),
        ({"compare": "number", "absolute": 5}, None, None, True),
        ({"compare": "number", "absolute": 5}, None, 0, False),
        ({"compare": "casefold"}, "Straße", "STRASSE", True),
        ({"compare": "casefold"}, "a", "b", False),
        ({"compare": "casefold"}, "a", None, False),
        ({"compare": "date"}, "2024-03-01", "20240301", True),
        ({"compare": "date"}, "2024-03-01", "2024-03-02", False),
        ({"compare": "date"}, "2024-03-01", "01.03.2024", False),
        ({"compare": "date", "formats": ["%d.%m.%Y"]}, "2024-03-01", "01.03.2024", True),
        ({"compare": "date", "formats": ["%d.%m.%Y", "%B %d, %Y"]}, "01.03.2024", "March 1, 2024", True),
        ({"compare": "date"}, "2024-03-01", "soon", False),
        ({"compare": "set"}, ["a", "b"], ["b", "a"], True),
        ({"compare": "set"}, ["a", "b"], ["b", "a", "a"], False),
        ({"compare": "set"}, ["a", "a", "b"], ["a", "b", "b"], False),
        ({"compare": "set"}, [1, {"x": [1], "y": 2}], [{"y": 2.0, "x": [1]}, 1.0], True),
        ({"compare": "set"}, [1, 0], [True, False], False),
        ({"compare": "set"}, [[1], [2]], [[2], [3]], False),
        ({"compare": "set"}, [{"x": 1}, {"x": 2}], [{"x": 3}, {"x": 1}], False),
        ({"compare": "set"}, [{"x": 1}], [{"y": 1}], False),
        ({"compare": "set"}, ["a"], "a", False),
        ({"compare": "fuzzy", "threshold": 0.9}, "hello world", "hello worlds", True),
        ({"compare": "fuzzy", "threshold": 0.96}, "hello world", "hello worlds", False),
        ({"compare": "fuzzy", "threshold": 0.8}, "abcde", "abcdf", True),
        ({"compare": "fuzzy", "threshold": 0.1}, "5", 5, False),
    ],
)
def test_a_field_is_compared_as_its_table_says(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    table: dict[str, Any],
    expected: Any,
    answer: Any,
    *,
    passed: bool,
) -> None:
    made = scorer("json", **fields(v=table))
    wanted = case({"v": expected, "other": 1})
    assert made.check(wanted) is None
    score = made.score(wanted, Completion(json_text({"v": answer, "other": 1})))
    assert score.passed is passed
    assert score.wrong == (None if passed else ("$.v",))
    # The table is for this field alone.
    assert not made.score(wanted, Completion(json_text({"v": expected, "other": 1.1}))).passed


def test_the_shown_difference_leaves_out_what_is_right(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("json", **fields(price={"compare": "number", "absolute": 1}))
    wanted, answer = case({"price": 10, "name": "a"}), Completion('{"price": 10.5, "name": "b"}')
    score = made.score(wanted, answer)
    assert (score.fields, score.path, score.wrong) == ((1, 2), "$.name", ("$.name",))
    assert made.explain(wanted, answer) == ['~ $.name: expected "a", got "b"']


def test_inside_an_optional_object_each_value_is_compared(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    made = scorer("json", **fields(v={"optional": True}))
    score = made.score(case({"v": {"x": 1, "y": 2}}), Completion('{"v": {"x": 1, "y": 3}}'))
    assert (score.wrong, score.fields) == (("$.v.y",), (1, 2))


def test_a_path_may_name_every_item(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("json", scorer_options={"fields": {"$.items[*].price": {"compare": "number", "absolute": 1}}})
    wanted = case({"items": [{"price": 1}, {"price": 5}]})
    assert made.score(wanted, Completion('{"items": [{"price": 2}, {"price": 4.5}]}')).passed
    score = made.score(wanted, Completion('{"items": [{"price": 2}, {"price": 7}, {"price": 1}]}'))
    assert score.wrong == ("$.items[1].price", "$.items[2]")
    one = scorer("json", scorer_options={"fields": {"$.items[1].price": {"compare": "number", "absolute": 1}}})
    assert one.score(wanted, Completion('{"items": [{"price": 2}, {"price": 4.5}]}')).wrong == ("$.items[0].price",)


def test_normalize_applies_before_the_comparison(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("json", normalize=["strip"], **fields(v={"compare": "date"}, w={"compare": "set"}))
    wanted = case({"v": "2024-03-01", "w": ["a", "b"]})
    assert made.score(wanted, Completion('{"v": " 2024-03-01", "w": ["b ", "a"]}')).passed
    bare = scorer("json", **fields(v={"compare": "date"}, w={"compare": "set"}))
    assert bare.score(wanted, Completion('{"v": " 2024-03-01", "w": ["b ", "a"]}')).wrong == ("$.v", "$.w")


@pytest.mark.parametrize(
    ("table", "answer", "wrong"),
    [
        ({"optional": True}, {"a": 1}, None),
        ({"optional": True, "compare": "exact"}, {"a": 1, "v": 3}, ("$.v",)),
        ({"optional": True}, {"a": 1, "v": 2}, None),
        ({"optional": True}, {"a": 1, "v": 3}, ("$.v",)),
        ({"optional": True}, {"v": 2}, ("$.a",)),
        ({"optional": True, "compare": "number", "absolute": 1}, {"a": 1, "v": 3}, None),
        ({"optional": True, "compare": "number", "absolute": 1}, {"a": 1}, None),
        ({"default": 2}, {"a": 1}, None),
        ({"default": 3}, {"a": 1}, ("$.v",)),
        ({"default": 3, "optional": True}, {"a": 1}, ("$.v",)),
        ({"default": 3, "compare": "number", "absolute": 1}, {"a": 1}, None),
    ],
)
def test_an_expected_field_may_be_missing(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    table: dict[str, Any],
    answer: Any,
    wrong: tuple[str, ...] | None,
) -> None:
    score = scorer("json", **fields(v=table)).score(case({"a": 1, "v": 2}), Completion(json_text(answer)))
    assert (score.passed, score.wrong) == (wrong is None, wrong)


@pytest.mark.parametrize(
    ("table", "value", "wrong"),
    [({"default": "C"}, "C", None), ({"default": "C"}, "F", ("$.v",)), ({"optional": True}, "C", ("$.v",))],
)
def test_a_field_that_is_not_expected_may_have_its_default(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    table: dict[str, Any],
    value: str,
    wrong: tuple[str, ...] | None,
) -> None:
    score = scorer("json", **fields(v=table)).score(case({"a": 1}), Completion(json_text({"a": 1, "v": value})))
    assert (score.passed, score.wrong) == (wrong is None, wrong)


def test_a_line_may_accept_other_values(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("json")
    wanted = replace(
        case({"city": "Oslo", "geo": {"x": 1}}),
        accept={"$.city": ("Christiania", "oslo"), "$.geo": ({"x": 2}, None), "$.unit": ("C",)},
    )
    assert made.check(wanted) is None
    for right in (
        {"city": "Oslo", "geo": {"x": 1}},
        {"city": "oslo", "geo": {"x": 2.0}},
        {"city": "Christiania", "geo": None, "unit": "C"},
    ):
        assert made.score(wanted, Completion(json_text(right))).passed, right
    for bad, path in (
        ({"city": "OSLO", "geo": {"x": 1}}, "$.city"),
        ({"city": "Oslo", "geo": {"x": 3}}, "$.geo.x"),
        ({"geo": {"x": 1}}, "$.city"),
        ({"city": "Oslo", "geo": {"x": 1}, "unit": "F"}, "$.unit"),
    ):
        assert made.score(wanted, Completion(json_text(bad))).wrong == (path,), bad


def test_accepted_values_are_compared_as_the_field_is(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("json", **fields(city={"compare": "casefold"}))
    wanted = replace(case({"city": "Oslo"}), accept={"$.city": ("Christiania",)})
    assert made.score(wanted, Completion('{"city": "CHRISTIANIA"}')).passed
    assert not made.score(wanted, Completion('{"city": "Bergen"}')).passed


@pytest.mark.parametrize(
    ("table", "expected", "problem"),
    [
        ({"compare": "number", "absolute": 1}, "3", "expected $.v is not a number"),
        ({"compare": "number", "absolute": 1}, True, "expected $.v is not a number"),
        ({"compare": "set"}, "a", "expected $.v is not a list"),
        ({"compare": "date"}, "March", "expected $.v is not a date"),
        ({"compare": "casefold"}, 1, "expected $.v is not text"),
        ({"compare": "fuzzy", "threshold": 0.5}, [], "expected $.v is not text"),
    ],
)
def test_an_expected_value_that_cannot_be_compared_so_is_refused(
    scorer: Callable[..., Any], case: Callable[..., Case], table: dict[str, Any], expected: Any, problem: str
) -> None:
    assert scorer("json", **fields(v=table)).check(case({"v": expected})) == problem


def test_a_missing_rapidfuzz_is_named(scorer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    with pytest.raises(ScorerError, match=r"^compare = 'fuzzy' needs rapidfuzz, which is not installed") as caught:
        scorer("json", **fields(w={"compare": "casefold"}, v={"compare": "fuzzy", "threshold": 0.5}))
    assert caught.value.hint == "pip install 'pytest-finetune[text]'"
    scorer("json", **fields(v={"compare": "casefold"}))


def test_an_answer_with_very_many_wrong_paths_is_wrong_everywhere(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    made = scorer("json")
    many = {f"k{number}": 1 for number in range(1000)}
    assert len(made.score(case({"a": 1}), Completion(json_text({"a": 1} | many))).wrong) == 1000
    for length, wrong in ((_LONGEST_PATH, None), (_LONGEST_PATH + 1, ("$",))):
        key = "k" * (length - len("$."))
        found = made.score(case({"a": 1}), Completion(json_text({"a": 1, "b": 1, key: 1}))).wrong
        assert found == (wrong or ("$.b", f"$.{key}"))
    assert made.score(case({"a": 2}), Completion(json_text({"a": 1} | many))).wrong == ("$",)
    assert made.score(case({"a": 1}), Completion(json_text({"a": 1, "x" * 600: 1}))).wrong == ("$",)


@pytest.mark.parametrize(
    ("text", "normal", "steps"),
    [
        ("$", "$", ()),
        ('$["city"].name', "$.city.name", (".city", ".name")),
        ("$.items[0].sku", "$.items[0].sku", (".items", "[0]", ".sku")),
        ("$.items[*]", "$.items[*]", (".items", "[*]")),
        ('$["two words"]', '$["two words"]', ('["two words"]',)),
        ('$["a\\"]b"].c', '$["a\\"]b"].c', ('["a\\"]b"]', ".c")),
    ],
)
def test_paths_have_one_spelling(text: str, normal: str, steps: tuple[str, ...]) -> None:
    assert normal_path(text) == normal
    assert steps_of(normal) == steps
    assert normal_path(normal) == normal


@pytest.mark.parametrize(
    "text", ["", "city", "$city", "$.", "$.a[", "$.a[x]", "$..a", "$.a b]", '$["a]', "$[-1]", ".a"]
)
def test_what_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a JSON path"):
        normal_path(text)


def test_values_are_read_once_and_compared_as_parsed(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("json", **fields(v={"compare": "set"}))
    wanted = case(json_text({"v": [1, 2]}))
    assert parse_json(wanted.expected[0]) == {"v": [1, 2]}
    assert made.score(wanted, Completion('{"v": [2, 1]}')).fields == (2, 2)
