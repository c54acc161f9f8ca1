from __future__ import annotations

import logging
import random
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlglot import Dialect

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.scoring import sql_statements
from pytest_finetune.verdicts.scoring.sql_statements import MOST_CHARACTERS, SqlFault, expected_statements, statements

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
    [
        "SELECT " + "INT(" * 40 + "1" + ")" * 40,
        "(" * 50_000,
        "SELECT 1" + " + 1" * 20_000,
        "SELECT " + "x" * 200_000,
        "SELECT 2" + ";" * 90_000,
    ],
    ids=["exponential", "deep", "long", "too long", "semicolons"],
)
@pytest.mark.slow
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
    with pytest.raises(ScorerError, match=r"^scorer 'sql' needs sqlglot") as caught:
        scorer("sql")
    assert caught.value.hint == "pip install 'pytest-finetune[sql]'"


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("SELECT a FROM t JOIN u ON t.x = u.x", "SELECT a FROM t INNER JOIN u ON (t.x = u.x)"),
        ("SELECT a FROM t LEFT JOIN u USING (x)", "SELECT a FROM t LEFT OUTER JOIN u USING (x)"),
        ("SELECT a FROM t ORDER BY a, b DESC", "SELECT a FROM t ORDER BY a ASC, b DESC"),
        ("SELECT SUM(a) OVER (ORDER BY b) FROM t", "SELECT SUM(a) OVER (ORDER BY b ASC) FROM t"),
        (
            "SELECT a FROM t WHERE a = 1 AND b = 2 OR c = 3",
            "SELECT (a) FROM t WHERE (((a = 1) AND (b = 2)) OR (c = (3)))",
        ),
        ("SELECT a + b * c FROM t", "SELECT (a + (b * c)) FROM t"),
        ("SELECT a - b - c FROM t", "SELECT ((a - b) - c) FROM t"),
        ("SELECT a FROM t WHERE a = 1 AND b = 2 AND c = 3", "SELECT a FROM t WHERE a = 1 AND (b = 2 AND c = 3)"),
        ("SELECT a FROM t WHERE NOT a IN (1, 2)", "SELECT a FROM t WHERE (NOT (a IN ((1), 2)))"),
        ("SELECT 1", "((SELECT 1))"),
        ("SELECT a FROM t WHERE a = (SELECT 1)", "SELECT a FROM t WHERE a = ((SELECT 1))"),
        ("UPDATE t SET a = b + 1 WHERE c = 2", "UPDATE t SET a = (b + 1) WHERE (c = 2)"),
    ],
)
def test_joins_orders_and_parentheses_that_say_the_same_are_equal(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: str, answer: str
) -> None:
    for one, other in ((expected, answer), (answer, expected)):
        assert scorer("sql").score(case(one), Completion(other)).passed


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("SELECT (a + b) * c FROM t", "SELECT a + b * c FROM t"),
        ("SELECT a - (b - c) FROM t", "SELECT a - b - c FROM t"),
        ("SELECT a / (b * c) FROM t", "SELECT a / b * c FROM t"),
        ("SELECT a FROM t WHERE (a = 1 OR b = 2) AND c = 3", "SELECT a FROM t WHERE a = 1 OR b = 2 AND c = 3"),
        ("SELECT a FROM t WHERE NOT (a = 1 AND b = 2)", "SELECT a FROM t WHERE NOT a = 1 AND b = 2"),
        ("SELECT a FROM t JOIN u USING (x)", "SELECT a FROM t LEFT JOIN u USING (x)"),
        ("SELECT a FROM t JOIN u USING (x)", "SELECT a FROM t CROSS JOIN u"),
        ("SELECT a FROM t LEFT JOIN u USING (x)", "SELECT a FROM t RIGHT OUTER JOIN u USING (x)"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC"),
        ("SELECT (1, 2)", "SELECT 1, 2"),
        ("SELECT (r).f FROM t", "SELECT r.f FROM t"),
        ("SELECT -(-a) FROM t", "SELECT a FROM t"),
        ("(SELECT 1 LIMIT 2) LIMIT 1", "SELECT 1 LIMIT 1"),
        ("SELECT a FROM t WHERE (a = b) = c", "SELECT a FROM t WHERE a = (b = c)"),
        ("(SELECT 1 UNION SELECT 2) EXCEPT SELECT 2", "SELECT 1 UNION (SELECT 2 EXCEPT SELECT 2)"),
    ],
)
def test_parentheses_and_joins_that_change_the_meaning_are_not_equal(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: str, answer: str
) -> None:
    for one, other in ((expected, answer), (answer, expected)):
        score = scorer("sql").score(case(one), Completion(other))
        assert (score.passed, score.format_failure) == (False, None)


def expression(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(["a", "b", "c", "1", "2", "0"])
    left, right = expression(rng, depth - 1), expression(rng, depth - 1)
    operator = rng.choice(
        ["+", "-", "*", "/", "%", "=", "<", "<>", "AND", "OR", "||", "IS", "LIKE", "NOT", "IN", "BETWEEN"]
    )
    if operator == "NOT":
        text = f"NOT {left}"
    elif operator == "IN":
        text = f"{left} IN ({right}, 1)"
    elif operator == "BETWEEN":
        text = f"{left} BETWEEN 0 AND {right}"
    else:
        text = f"{left} {operator} {right}"
    return f"({text})" if rng.random() < 0.6 else text


@pytest.mark.slow
def test_equal_statements_give_equal_results_on_a_database() -> None:
    """Random operations with random parentheses: what counts as equal must compute the same, as SQLite does it."""
    rng, dialect = random.Random(20), Dialect.get_or_raise("sqlite")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t AS WITH v(x) AS (VALUES (0), (1), (2), (NULL)) "
                     "SELECT i.x AS a, j.x AS b, k.x AS c FROM v i, v j, v k")  # fmt: skip
    equal: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
    for _ in range(4000):
        query = f"SELECT {expression(rng, 2)} FROM t ORDER BY a, b, c"
        try:
            rows, key = tuple(database.execute(query)), statements(query, dialect)
        except (sqlite3.Error, SqlFault):
            continue
        equal.setdefault(key, set()).add(rows)
    assert len(equal) > 1000
    assert [key for key, results in equal.items() if len(results) > 1] == []
    database.close()


def test_an_answer_that_differs_in_layout_and_the_case_of_keywords_is_not_parsed(
    scorer: Callable[..., Any], case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    sql, one = scorer("sql"), case("SELECT a, max(b) FROM parsed_once GROUP BY a")
    assert sql.check(one) is None
    parsed = list[str]()
    kept = sql_statements._parsed
    monkeypatch.setattr(
        sql_statements, "_parsed", lambda tokens, text, dialect: parsed.append(text) or kept(tokens, text, dialect)
    )
    alike = [
        " SELECT a, max(b) FROM parsed_once GROUP BY a\n",
        "select a,MAX(b) /* the highest */ from parsed_once\ngroup   by a; ;",
    ]
    assert [sql.score(one, Completion(text)).passed for text in alike] == [True, True]
    assert parsed == []
    unlike = ["SELECT a, max(b) FROM parsed_once GROUP BY (a)", "SELECT 'a', max(b) FROM parsed_once GROUP BY a"]
    assert [sql.score(one, Completion(text)).passed for text in unlike] == [True, False]
    assert parsed == unlike


@pytest.mark.parametrize(
    ("dialect", "one", "other"),
    [
        ("", "SELECT 'from' FROM t", "SELECT 'FROM' FROM t"),
        ("", 'SELECT "from" FROM t', 'SELECT "FROM" FROM t'),
        ("", "SELECT 1", "SELECT '1'"),
        ("", "SELECT a FROM t", "SELECT a FROM t; SELECT a FROM t"),
        ("clickhouse", "SELECT fooBar(a) FROM t", "SELECT FOOBAR(a) FROM t"),
    ],
)
def test_the_letter_case_of_names_and_texts_is_left_to_the_parser(
    scorer: Callable[..., Any], case: Callable[..., Case], dialect: str, one: str, other: str
) -> None:
    made = scorer("sql", dialect=dialect)
    as_parsed = statements(one, made.dialect) == statements(other, made.dialect)
    assert not as_parsed
    assert not made.score(case(one), Completion(other)).passed


@pytest.mark.slow
def test_what_passes_by_its_tokens_passes_by_its_statements() -> None:
    """Random letter case, layout and comments: the parser agrees with the comparison of tokens."""
    rng = random.Random(14)
    for name in ("", "sqlite", "postgres", "mysql", "bigquery", "clickhouse", "snowflake", "tsql", "duckdb"):
        dialect, equal = Dialect.get_or_raise(name), 0
        for _ in range(150):
            query = f"SELECT {expression(rng, 2)} AS Desc FROM t ORDER BY a, Left(b, 1), Sum(c), fooBar(a)"
            words = [rng.choice((each.upper(), each.lower(), each)) for each in query.split(" ")]
            other = " ".join(rng.choice((each, word)) for each, word in zip(query.split(" "), words, strict=True))
            other = other.replace(" ", rng.choice((" ", "\n", "  ", " /* c */ ")))
            try:
                wanted = expected_statements(query, dialect)
                answered = expected_statements(other, dialect)
            except SqlFault:
                continue
            if wanted.written == answered.written:
                equal += 1
                assert wanted.canonical == answered.canonical
        assert equal


def test_equal_texts_of_two_dialects_are_not_mixed_up(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    expected, answer = 'SELECT "a" FROM t', "SELECT 'a' FROM t"
    for _ in range(2):
        assert scorer("sql", dialect="mysql").score(case(expected), Completion(answer)).passed
        assert not scorer("sql", dialect="postgres").score(case(expected), Completion(answer)).passed


@pytest.mark.parametrize("answer", ["select 2", "SELECT (2)"])
def test_any_of_several_expected_statements_may_be_met(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str
) -> None:
    made = scorer("sql")
    assert made.score(case("SELECT 1", "SELECT 2"), Completion(answer)).passed
    assert not made.score(case("SELECT 1", "SELECT 3"), Completion(answer)).passed


def test_a_text_is_read_up_to_a_number_of_characters(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    longest = "SELECT" + " " * (MOST_CHARACTERS - len("SELECT1")) + "1"
    assert scorer("sql").score(case("SELECT 1"), Completion(longest)).passed
    score = scorer("sql").score(case("SELECT 1"), Completion(longest.replace(" ", "  ", 1)))
    assert (score.passed, score.undecided) == (False, True)
