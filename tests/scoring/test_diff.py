from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.diff import MOST_LINES, json_diff, text_diff
from pytest_finetune.base.records import Completion
from pytest_finetune.base.text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case


def test_short_texts_differ_by_word() -> None:
    expected, got = text_diff("the quick brown fox", "the quick red fox!")
    assert expected == "expected: the quick [-brown-] fox"
    assert got == "     got: the quick {+red+} fox{+!+}"


def test_invisible_characters_are_made_visible() -> None:
    assert text_diff("bug", "bug\u200b\x1b")[1] == "     got: bug{+\\u200b\\x1b+}"


def test_a_long_common_stretch_is_left_out() -> None:
    lines = text_diff("a " * 50 + "b", "a " * 50 + "c")
    assert all("…" in line and len(line) < 60 for line in lines)


def test_texts_of_several_lines_differ_by_line() -> None:
    assert text_diff("a\nb\nc\nd", "a\nb\nX\nd") == ["line 2:", " b", "-c", "+X", " d"]


def test_json_differs_by_path() -> None:
    lines = json_diff({"a": 1, "b": [1, 2], "c": "x"}, {"a": True, "b": [1], "d": None, "c": "x"})
    assert lines == ["~ $.a: expected 1, got true", "- $.b[1]: 2 is missing", "+ $.d: null is extra"]


def test_a_long_diff_is_bounded() -> None:
    assert len(json_diff(list(range(500)), list(range(1, 501)))) == MOST_LINES
    assert len(text_diff("\n".join("ab" * 500), "\n".join("ba" * 500))) <= MOST_LINES


def test_shortening_keeps_both_ends() -> None:
    short = shorten("a" * 500 + "z", 40)
    assert len(short) == 40
    assert short.startswith("aaa")
    assert short.endswith("…aaaaaaaaaz")


@pytest.mark.parametrize(
    ("name", "pair", "line"),
    [
        ("exact", ("a b", "a c"), "expected: a [-b-]"),
        ("json", ('{"a": 1}', '{"a": 2}'), "~ $.a: expected 1, got 2"),
        ("json", ({"a": 1}, "no JSON"), 'expected: {"a": 1}'),
    ],
)
def test_the_difference_suits_the_scorer(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str, pair: tuple[Any, str], line: str
) -> None:
    expected, answer = pair
    assert line in scorer(name).explain(case(expected), Completion(answer))


def test_calls_differ_by_path(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    wanted = case(calls=[("f", '{"a": 1}'), ("g", "{}")])
    lines = scorer("tool_call").explain(wanted, calling(("f", '{"a": 2}'), ("h", "{")))
    assert lines == ["~ $.f.a: expected 1, got 2", "- $.g: {} is missing", '+ $.h: "{" is extra']


def test_an_answer_without_an_expected_one_is_shown(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert scorer("schema", schema={}).explain(case(), Completion("")) == ["got (nothing)"]


@given(st.text(), st.text())
def test_any_two_texts_make_a_bounded_printable_diff(expected: Any, got: Any) -> None:
    for lines in (text_diff(expected, got), text_diff(expected * 50, got * 50)):
        assert len(lines) <= MOST_LINES
        assert all(line.isprintable() and len(line) < 500 for line in lines)


@pytest.mark.parametrize("unit", ["a ", "ab\n", "{", "é", "\x00"])
def test_a_huge_answer_makes_a_small_diff(unit: Any) -> None:
    assert len(text_diff("a\nb", unit * 500_000)) <= MOST_LINES
