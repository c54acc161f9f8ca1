"""SQL by execution on DuckDB: an answer reads its tables and nothing else, and can neither hang nor fill anything."""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.scoring import duckdb_execution, make_scorer
from pytest_finetune.verdicts.scoring.duckdb_execution import DuckDatabase
from pytest_finetune.verdicts.scoring.sql_execution import QueryFault, is_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Case

pytest.importorskip("duckdb")

SCRIPT = """
CREATE TABLE orders (id INTEGER, city VARCHAR, amount DECIMAL(10, 2), made DATE, tags VARCHAR[]);
INSERT INTO orders VALUES (1, 'Oslo', 0.1, '2026-01-01', ['a']), (2, 'Rome', 0.2, '2026-01-02', []),
  (3, 'Oslo', 0.3, '2026-02-01', ['a', 'b']), (4, NULL, 7, NULL, NULL);
CREATE SEQUENCE numbers;
"""


@pytest.fixture(scope="module")
def database() -> Iterator[DuckDatabase]:
    made = DuckDatabase(SCRIPT)
    yield made
    made._process.end()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.sql").write_text(SCRIPT)
    options = {"database": "shop.sql", "engine": "duckdb"}
    return make_scorer(EvalSettings.model_validate({"scorer": "sql_result", "scorer_options": options}), folder)


@pytest.mark.parametrize(
    ("expected", "answer", "passed"),
    [
        ("SELECT city, sum(amount) FROM orders GROUP BY ALL", "FROM orders SELECT city, sum(amount) GROUP BY 1", True),
        ("SELECT id FROM orders", "SELECT id::DOUBLE FROM orders ORDER BY id DESC", True),
        ("SELECT id FROM orders ORDER BY id", "SELECT id FROM orders", False),
        ("SELECT id FROM orders ORDER BY id", "SELECT id FROM orders WHERE $$ORDER BY$$ <> ''", False),
        ("SELECT 0.3", "SELECT 0.1::DOUBLE + 0.2::DOUBLE", True),
        ("SELECT made FROM orders", "SELECT made FROM orders WHERE made IS NOT NULL", False),
        ("SELECT tags FROM orders", "SELECT tags[1:9] FROM orders", True),
        ("SELECT {'a': 1}", "SELECT {'a': 2}", False),
        ("SELECT 170141183460469231731687303715884105727", "SELECT 170141183460469231731687303715884105726", False),
    ],
)  # fmt: skip
def test_the_rows_decide(shop: Any, case: Callable[..., Case], expected: str, answer: str, *, passed: bool) -> None:
    asked = case(expected)
    assert shop.check(asked) is None
    assert shop.score(asked, Completion(answer)).passed is passed


HOSTILE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT content FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/*')",
    "SELECT * FROM read_parquet('https://127.0.0.1:1/x')",
    "SELECT * FROM read_json_auto('http://127.0.0.1:1/x')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "COPY orders TO '/tmp/orders.csv'",
    "COPY (SELECT 1) TO '/dev/stdout'",
    "EXPORT DATABASE '/tmp/orders'",
    "IMPORT DATABASE '/tmp/orders'",
    "ATTACH '/tmp/orders.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CREATE TABLE t (a INTEGER)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "INSERT INTO orders (id) VALUES (9) RETURNING id",
    "DELETE FROM orders",
    "UPDATE orders SET id = 1",
    "DROP TABLE orders",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE orders",
    "BEGIN",
    "COMMIT",
    "EXPLAIN SELECT 1",
    "PREPARE p AS SELECT 1",
    "SELECT random()",
    "SELECT id FROM orders ORDER BY uuid()",
    "SELECT 1 FROM (SELECT gen_random_uuid())",
    "SELECT nextval('numbers')",
    "SELECT * FROM orders USING SAMPLE 2",
    "SELECT * FROM orders WHERE id = ?",
    "not a query",
    "",
    "\ud800",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_nothing_but_a_query_on_its_tables_runs(database: DuckDatabase, query: str) -> None:
    with pytest.raises(QueryFault):
        database.result(query)
    assert database.result("SELECT count(*), sum(id) FROM orders").rows == ((4, 10),)


def test_a_deep_query_does_no_harm(database: DuckDatabase) -> None:
    # Whether it is one depends on the version.
    with suppress(QueryFault):
        assert database.result("SELECT " + "(" * 5000 + "1" + ")" * 5000).rows == ((1,),)
    assert database.result("SELECT count(*) FROM orders").rows == ((4,),)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM range(200000)",
        "SELECT repeat('a', 1000000) FROM range(100)",
        "SELECT list(a.range) FROM range(100000) a, range(100000) b",
        "SELECT repeat('a', 2000000000)",
        "SELECT count(DISTINCT a.range * 100000 + b.range) FROM range(20000) a, range(20000) b",
    ],
)
def test_a_query_is_bounded_in_rows_and_memory(database: DuckDatabase, query: str) -> None:
    with pytest.raises(QueryFault, match=r"rows, or too long|[Mm]emory|too much|takes too long|too large|exceed"):
        database.result(query)
    assert database.result("SELECT count(*) FROM orders").rows == ((4,),)


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
        "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3",
    ],
)
def test_a_query_that_never_ends_is_ended(database: DuckDatabase, query: str) -> None:
    with pytest.raises(QueryFault, match=r"too long|too much"):
        database.result(query)
    assert database.result("SELECT count(*) FROM orders").rows == ((4,),)


@pytest.mark.slow
def test_a_process_that_was_killed_is_started_again_with_its_tables(database: DuckDatabase) -> None:
    running = database._process._running
    assert running is not None
    running._popen.kill()
    running._popen.wait()
    with pytest.raises(QueryFault, match="too much time or memory"):
        database.result("SELECT 1")
    assert database.result("SELECT count(*) FROM orders").rows == ((4,),)


@pytest.mark.slow
def test_a_process_that_hangs_is_ended_by_the_clock(database: DuckDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_execution, "SECONDS", 0.2)
    with pytest.raises(QueryFault, match="too much time or memory"):
        database.result("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r")
    monkeypatch.undo()
    assert database.result("SELECT count(*) FROM orders").rows == ((4,),)


@pytest.mark.slow
def test_a_database_that_is_gone_leaves_no_process(tmp_path: Path) -> None:
    made = DuckDatabase("CREATE TABLE t (a INTEGER)")
    running = made._process._running
    assert running is not None
    del made
    gc.collect()
    assert running._popen.poll() is not None


def test_threads_take_turns(database: DuckDatabase) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append((n, database.result(f"SELECT {n}").rows))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [(n, ((n,),)) for n in range(8)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("CREATE TABLE", "the script fails"),
        ("SELECT 1", "it makes no table"),
        ("CREATE TABLE t AS SELECT * FROM read_csv('/etc/passwd')", "the script fails"),
        ("SET enable_external_access = true; CREATE TABLE t AS FROM '/etc/passwd'", "the script fails"),
    ],
)
def test_a_script_that_fails_or_reads_files_is_refused(
    scorer: Callable[..., Any], tmp_path: Path, script: str, problem: str
) -> None:
    (tmp_path / "shop.sql").write_text(script)
    with pytest.raises(ScorerError, match=problem):
        scorer("sql_result", scorer_options={"database": "shop.sql", "engine": "duckdb"})


def test_without_duckdb_the_set_is_refused_with_the_line_to_type(
    scorer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.sql").write_text(SCRIPT)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ScorerError, match="needs duckdb, which is not installed") as caught:
        scorer("sql_result", scorer_options={"database": "shop.sql", "engine": "duckdb"})
    assert caught.value.hint == "pip install 'pytest-finetune[duckdb]'"


def test_what_has_no_result_is_a_format_failure(shop: Any, case: Callable[..., Case]) -> None:
    score = shop.score(case("SELECT 1"), Completion("SELECT * FROM read_csv('/etc/passwd')"))
    assert (score.passed, score.format_failure) == (False, FormatFailure.OTHER)
    assert os.sep + "root:" not in score.detail


@pytest.mark.parametrize(("query", "ordered"), [("SELECT $$ORDER BY$$", False), ("SELECT 1 ORDER BY $$a$$", True)])
def test_dollar_quotes_hold_text(query: str, *, ordered: bool) -> None:
    assert is_ordered(query) is ordered
