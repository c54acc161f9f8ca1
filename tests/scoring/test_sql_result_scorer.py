"""SQL by execution: the model's text runs on a copy of a small database, and can neither change nor hang anything."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import EvalSetErrors, ScorerError
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.scoring import sql_execution
from pytest_finetune.verdicts.scoring.sql_execution import Database, QueryFault, is_ordered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.scoring.scorers.sql_result import SqlResultScorer

SCRIPT = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, city TEXT, amount REAL);
INSERT INTO orders VALUES (1, 'Oslo', 0.1), (2, 'Rome', 0.2), (3, 'Oslo', 0.3), (4, NULL, 7);
"""
BY_CITY = "SELECT city, SUM(amount) FROM orders GROUP BY city"


@pytest.fixture
def shop(scorer: Callable[..., Any], tmp_path: Path) -> SqlResultScorer:
    (tmp_path / "shop.sql").write_text(SCRIPT)
    made: SqlResultScorer = scorer("sql_result", scorer_options={"database": "shop.sql"})
    return made


@pytest.fixture
def database() -> Database:
    return Database(SCRIPT)


@pytest.mark.parametrize(
    ("expected", "answer", "passed"),
    [
        (BY_CITY, "select o.city as c, total(o.amount) from orders as o group by 1;", True),
        (BY_CITY, "SELECT city, SUM(amount) FROM orders GROUP BY city ORDER BY city DESC", True),
        (BY_CITY, "SELECT SUM(amount), city FROM orders GROUP BY city", False),
        (BY_CITY, "SELECT city, SUM(amount) FROM orders WHERE city IS NOT NULL GROUP BY city", False),
        (BY_CITY, "SELECT city, SUM(amount), 1 FROM orders GROUP BY city", False),
        ("SELECT city FROM orders", "SELECT DISTINCT city FROM orders", False),
        ("SELECT id FROM orders ORDER BY id", "SELECT id FROM orders ORDER BY amount", True),
        ("SELECT id FROM orders ORDER BY id", "SELECT id FROM orders ORDER BY id DESC", False),
        # In order by chance.
        ("SELECT id FROM orders ORDER BY id", "SELECT id FROM orders", False),
        ("SELECT id FROM orders WHERE id < 3 ORDER BY id", "SELECT id FROM orders WHERE id < 3", False),
        ("SELECT id FROM orders ORDER BY id DESC LIMIT 1", "SELECT MAX(id) FROM orders", True),
        ("SELECT 0.3", "SELECT 0.1 + 0.2", True),
        ("SELECT 0.3", "SELECT 0.30000001", False),
        ("SELECT 1", "SELECT 1.0", True),
        ("SELECT 1", "SELECT '1'", False),
        ("SELECT NULL", "SELECT 0", False),
        ("SELECT 'a'", "SELECT x'61'", False),
    ],
)
def test_the_rows_decide(
    shop: SqlResultScorer, case: Callable[..., Case], expected: str, answer: str, *, passed: bool
) -> None:
    assert shop.check(case(expected)) is None
    score = shop.score(case(expected), Completion(answer))
    assert (score.passed, score.format_failure) == (passed, None)
    assert bool(score.detail) is not passed


def test_any_expected_query_may_be_met(shop: SqlResultScorer, case: Callable[..., Case]) -> None:
    wanted = case("SELECT 1", "SELECT id FROM orders ORDER BY id DESC")
    assert shop.score(wanted, Completion("SELECT id FROM orders ORDER BY -id")).passed


@pytest.mark.parametrize(
    ("expected", "answer", "detail"),
    [
        ("SELECT 1, 2", "SELECT 1", "expected 2 columns, got 1"),
        ("SELECT id FROM orders", "SELECT 1", "expected 4 rows, got 1"),
        ("SELECT 1", "SELECT 2", "expected 1 rows, got 1, and not the same ones"),
        (
            "SELECT id FROM orders ORDER BY id",
            "SELECT id FROM orders",
            "the rows are the expected ones, in",
        ),
        (
            "SELECT id FROM orders ORDER BY id",
            "SELECT id FROM orders ORDER BY id DESC",
            "the rows are the expected ones, in",
        ),
        (
            "SELECT id FROM orders ORDER BY id",
            "SELECT 5 - id FROM orders ORDER BY id LIMIT 2",
            "expected 4 rows, got 2; row 1: expected (1,), got (4,)",
        ),
    ],
)
def test_the_difference_is_said(
    shop: SqlResultScorer, case: Callable[..., Case], expected: str, answer: str, detail: str
) -> None:
    assert shop.score(case(expected), Completion(answer)).detail.startswith(detail)


HOSTILE = (
    "DROP TABLE orders",
    "DELETE FROM orders",
    "UPDATE orders SET amount = 0",
    "INSERT INTO orders VALUES (9, 'x', 1) RETURNING id",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "ATTACH DATABASE '/tmp/attached.db' AS x",
    "DETACH main",
    "PRAGMA table_info(orders)",
    "PRAGMA writable_schema = 1",
    "SELECT * FROM pragma_table_info('orders')",
    "SELECT load_extension('x')",
    "VACUUM INTO '/tmp/vacuumed.db'",
    "BEGIN",
    "REINDEX",
    "ANALYZE",
    "SELECT random()",
    "SELECT 1; DROP TABLE orders",
    "SELECT no_such_column FROM orders",
    "SELECT * FROM orders WHERE id = ?",
    "SELECT zeroblob(1000000000)",
    "SELECT 'a\x00b'",
    "SELECT '\udce9'",
    "-- nothing",
    ";",
)


@pytest.mark.parametrize("query", HOSTILE)
def test_nothing_but_a_query_runs(database: Database, query: str) -> None:
    with pytest.raises(QueryFault):
        database.result(query)
    assert database.result("SELECT count(*), sum(id) FROM orders").rows == ((4, 10),)


ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (ENDLESS + "SELECT count(*) FROM r", "takes too long"),
        (ENDLESS + "SELECT n FROM r", "more than 100,000 rows"),
        (ENDLESS + "SELECT hex(zeroblob(40000)) FROM r", "too long ones"),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "parser stack overflow|too deep|Expression tree"),
        ("SELECT hex(zeroblob(60000))", "too big"),
        ("SELECT 'a' LIKE '" + "%a" * 60 + "'", "too complex"),
    ],
)
def test_a_query_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch, query: str, problem: str) -> None:
    monkeypatch.setattr(sql_execution, "SECONDS", 600)  # a busy machine is slow, and the other bounds are meant
    with pytest.raises(QueryFault, match=problem):
        database.result(query)


def test_slow_functions_end_by_the_clock(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_execution, "SECONDS", 0.05)
    with pytest.raises(QueryFault, match="takes too long"):
        database.result(ENDLESS + "SELECT max(instr(hex(zeroblob(49000)), hex(zeroblob(20000)) || n)) FROM r")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Completion("Sure! SELECT 1"), FormatFailure.OTHER),
        (Completion("DROP TABLE orders"), FormatFailure.OTHER),
        (Completion("```sql\nSELECT 1\n```"), FormatFailure.FENCED),
        (Completion("I'm sorry, I can't."), FormatFailure.REFUSAL),
        (Completion("SELECT (", finish_reason="length"), FormatFailure.TRUNCATED),
        (Completion("SELECT 2", finish_reason="length"), FormatFailure.TRUNCATED),
        (Completion(""), FormatFailure.EMPTY),
    ],
)
def test_what_has_no_result_is_a_format_failure(
    shop: SqlResultScorer, case: Callable[..., Case], answer: Completion, failure: FormatFailure
) -> None:
    score = shop.score(case("SELECT 1"), answer)
    assert (score.passed, score.format_failure) == (False, failure)


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ("SELECT x FROM orders", "has no result: no such column: x"),
        ("DELETE FROM orders", "has no result: not authorized"),
        ("SELECT 1 WHERE 0", "finds no rows, as would most wrong queries"),
    ],
)
def test_an_expected_query_must_find_something(
    shop: SqlResultScorer, case: Callable[..., Case], expected: str, problem: str
) -> None:
    found = shop.check(case("SELECT 1", expected))
    assert found is not None
    assert problem in found
    assert shop.check(case()) == "no expected text"


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("select a from t order\n by a", True),
        ("SELECT a FROM t ORDER /* x */ BY a", True),
        ("SELECT a FROM t", False),
        ("SELECT * FROM (SELECT a FROM t ORDER BY a)", False),
        ("SELECT SUM(a) OVER (ORDER BY b) FROM t", False),
        ("SELECT ' ORDER BY ' FROM t -- ORDER BY a", False),
        ('SELECT "order by", [order by] FROM t /* ORDER BY a', False),
        ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", True),
        ("WITH x AS (SELECT a FROM t ORDER BY a) SELECT * FROM x", False),
        ("SELECT '(' FROM t ORDER BY a", True),
        ("SELECT order_by FROM t", False),
        ("SELECT (SELECT max(a) FROM t) FROM t ORDER BY a", True),
        ("SELECT a FROM t ORDER -- not yet\nBY a", True),
    ],
)
def test_an_order_counts_outside_of_parentheses_only(query: str, *, ordered: bool) -> None:
    assert is_ordered(query) is ordered


@pytest.mark.parametrize(
    ("script", "problem", "hint"),
    [
        (None, "database 'shop.sql' cannot be read", "the path is relative to the eval set"),
        (b"CREATE TABEL t (a)", 'the script fails: near "TABEL": syntax error', "SQLite must be able to run it"),
        (b"SELECT 1;", "the script fails: it makes no table", "SQLite must be able to run it"),
        (b"", "the script fails: it makes no table", "SQLite must be able to run it"),
        (b"SQLite format 3\x00\xff\xfe", "is not a script in UTF-8", "write the SQL that makes the tables"),
    ],
)
def test_a_script_that_makes_no_database_is_refused(
    scorer: Callable[..., Any], tmp_path: Path, script: bytes | None, problem: str, hint: str
) -> None:
    if script is not None:
        (tmp_path / "shop.sql").write_bytes(script)
    with pytest.raises(ScorerError) as caught:
        scorer("sql_result", scorer_options={"database": "shop.sql"})
    assert problem in caught.value.problem
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    "statement",
    ["ATTACH '{}' AS other; CREATE TABLE other.t (a);", "VACUUM INTO '{}';", "SELECT load_extension('{}');"],
)
def test_a_script_reaches_no_other_file(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "other.db"
    with pytest.raises(sqlite3.DatabaseError, match="authoriz"):
        Database(f"{SCRIPT} {statement.format(file)}")
    assert not file.exists()


def test_a_script_may_take_many_steps_and_leave_its_transaction_open() -> None:
    many = (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9999) INSERT INTO t SELECT n FROM r;"
    )
    assert Database(f"BEGIN; CREATE TABLE t (a); {many}").result("SELECT sum(a) FROM t").rows == ((49995000,),)


def test_databases_are_in_memory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Database(SCRIPT).result("SELECT count(*) FROM orders").rows == ((4,),)
    assert list(tmp_path.iterdir()) == []


def test_a_script_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_execution, "SCRIPT_SECONDS", 0.05)
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r;"
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        Database(f"{SCRIPT} {endless}")


def test_the_database_is_required(scorer: Callable[..., Any]) -> None:
    with pytest.raises(ScorerError, match="needs database"):
        scorer("sql_result")


def test_another_script_makes_earlier_verdicts_stale(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text('{"id": "a", "input": "?", "expected": "SELECT count(*) FROM orders"}\n')
    (tmp_path / "set.toml").write_text('[scorer]\ntype = "sql_result"\ndatabase = "shop.sql"\n')
    hashes = []
    for script in (SCRIPT, SCRIPT, SCRIPT + "INSERT INTO orders VALUES (5, 'Bern', 1);"):
        (tmp_path / "shop.sql").write_text(script)
        hashes.append(load_eval_sets([tmp_path / "set.jsonl"], root=tmp_path)[0].settings_sha256)
    assert hashes[0] == hashes[1] != hashes[2]
    (tmp_path / "shop.sql").unlink()
    with pytest.raises(EvalSetErrors, match=r"'shop\.sql' cannot be read"):
        load_eval_sets([tmp_path / "set.jsonl"], root=tmp_path)


def test_threads_do_not_share_a_connection(shop: SqlResultScorer, case: Callable[..., Case]) -> None:
    passed = []

    def work() -> None:
        passed.extend(shop.score(case(BY_CITY), Completion(BY_CITY)).passed for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed == [True] * 80
