from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("SELECT a FROM t", "select A\n  from T ;"),
        ("SELECT a FROM t", "SELECT /* the a */ a -- of\nFROM t"),
        ("SELECT a AS b FROM t", "select a b from t"),
        ("SELECT count(*) FROM t WHERE a != 1", "select COUNT( * ) from t where a <> 1"),
        ("SELECT 1; SELECT 2", "select 1;\nselect 2;"),
    ],
)
def test_layout_letter_case_and_comments_do_not_matter(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, answer: str
) -> None:
    assert scorer("sql").score(case(expected), Completion(answer)).passed


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("SELECT a FROM t", "SELECT a FROM t WHERE TRUE"),
        ("SELECT 'a' FROM t", "SELECT 'A' FROM t"),
        ('SELECT "a" FROM t', 'SELECT "A" FROM t'),
        ("SELECT a, b FROM t", "SELECT b, a FROM t"),
        ("SELECT 1; SELECT 2", "SELECT 1"),
        ("SELECT 1; SELECT 2", "SELECT 2; SELECT 1"),
        ("SELECT 1", "SELECT 1; DROP TABLE t"),
    ],
)
def test_other_statements_are_missed_and_valid(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, answer: str
) -> None:
    score = scorer("sql").score(case(expected), Completion(answer))
    assert (score.passed, score.format_failure) == (False, None)
    assert score.detail == f"expected {expected!r}, got {answer!r}"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("SELECT ((", FormatFailure.OTHER),
        ("Sure! Here is the query you asked for.", FormatFailure.OTHER),
        ("SELECT 'a", FormatFailure.OTHER),
        ("42", FormatFailure.OTHER),
        (";", FormatFailure.OTHER),
        ("-- nothing", FormatFailure.OTHER),
        ("```sql\nSELECT a FROM t\n```", FormatFailure.FENCED),
        ("I'm sorry, I can't write that query.", FormatFailure.REFUSAL),
        ("", FormatFailure.EMPTY),
    ],
)
def test_an_answer_that_is_not_sql_is_a_format_failure(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str, failure: FormatFailure
) -> None:
    score = scorer("sql").score(case("SELECT a FROM t"), Completion(answer))
    assert (score.passed, score.format_failure) == (False, failure)


@pytest.mark.parametrize(
    "answer",
    ["SELECT " + "INT(" * 40 + "1" + ")" * 40, "(" * 50_000, "SELECT 1" + " + 1" * 20_000, "SELECT " + "x" * 200_000],
    ids=["exponential", "deep", "long", "too long"],
)
def test_no_answer_hangs_or_crashes_the_parser(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str
) -> None:
    score = scorer("sql").score(case("SELECT 1"), Completion(answer))
    assert not score.passed


def test_the_dialect_decides_how_both_sides_are_read(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("sql", dialect="mysql")
    assert made.score(case("SELECT `a b` FROM t"), Completion("select `a b` from t")).passed


def test_an_unknown_dialect_is_refused(scorer: Callable[..., Any]) -> None:
    with pytest.raises(ScorerError, match="'postgers' is unknown") as caught:
        scorer("sql", dialect="postgers")
    assert "postgres" in caught.value.hint


def test_sql_cut_at_the_token_limit_is_truncated(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("sql").score(case("SELECT (1)"), Completion("SELECT (", finish_reason="length"))
    assert score.format_failure is FormatFailure.TRUNCATED


def test_expected_sql_must_parse(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert scorer("sql").check(case("SELECT 1")) is None
    assert "is not SQL" in scorer("sql").check(case("SELECT (("))
    assert "is not SQL" in scorer("sql").check(case("bug"))


def test_the_parser_logs_nothing(
    scorer: Callable[..., Any], case: Callable[..., Case], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        scorer("sql").score(case("SELECT 1"), Completion("show me the money"))
    assert not caplog.records
    assert not logging.getLogger("sqlglot").disabled


def test_a_missing_sqlglot_is_an_error_with_a_remedy(
    scorer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(ScorerError, match="needs sqlglot") as caught:
        scorer("sql")
    assert caught.value.hint == "pip install 'pytest-finetune[sql]'"
