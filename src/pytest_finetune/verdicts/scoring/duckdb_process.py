"""
The program that runs queries on DuckDB, in a process of its own; it imports nothing of this package.

DuckDB has no privileges: SQL may read files, open connections and load extensions unless the settings forbid it, and
its makers advise a separate process with limits of time and memory (duckdb.org, "Securing DuckDB"). The first line
that it reads holds the script that makes the tables, every other one a query.
"""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from threading import Event, Thread
from time import process_time
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import resource
except ImportError:  # Windows has no limits for a process; the parent's clock ends it there
    resource = None  # type: ignore[assignment]

SECONDS = 5.0
"""Processor time for one query."""

MOST_ROWS = 100_000
MOST_BYTES = 50_000_000
_ADDRESS_SPACE = 2 * 2**30

_SAMPLE = "a sample"
_VOLATILE = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "memory_limit": "256MB",
    "temp_directory": "",
    "threads": "1",
}


class _QueryError(ValueError):
    """A query has no result."""


def main() -> None:
    """Answer each line of standard input with a line."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    _say("ready")
    database: duckdb.DuckDBPyConnection | None = None
    volatile: set[str] = set()
    for line in sys.stdin:
        text = json.loads(line)
        try:
            if database is None:
                database = _open(text)
                volatile = {name for (name,) in database.execute(_VOLATILE).fetchall()}
                answer: dict[str, Any] = {"tables": len(database.execute("SHOW TABLES").fetchall())}
            else:
                answer = _result(database, text, volatile)
        except (duckdb.Error, _QueryError, MemoryError, RuntimeError, ValueError, OverflowError) as error:
            answer = {"fault": str(error).partition("\n")[0] or type(error).__name__}
        _say(json.dumps(answer))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _open(script: str) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(":memory:", config=_SETTINGS)
    database.execute(script)
    database.execute("SET lock_configuration = true")
    return database


def _result(database: duckdb.DuckDBPyConnection, query: str, volatile: set[str]) -> dict[str, Any]:
    statements = duckdb.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise _QueryError("it is not a query" if len(statements) < 2 else "it is more than one statement")  # noqa: PLR2004
    if used := _called_functions(database, query) & {_SAMPLE, *volatile}:
        raise _QueryError(f"{min(used)} gives other values each time")
    done = Event()
    watch = Thread(target=_interrupt_late, args=(database, process_time() + SECONDS, done), daemon=True)
    if resource is not None:
        # For functions that do not look whether they are interrupted.
        seconds = int(process_time() + 2 * SECONDS) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    # Not even WITH … AS (DELETE …) can write here.
    database.execute("BEGIN TRANSACTION READ ONLY")
    watch.start()
    try:
        found = database.execute(query)
        columns = len(found.description or ())
        rows = list(_rows(found))
    except duckdb.InterruptException:
        raise _QueryError("it takes too long") from None
    finally:
        done.set()
        watch.join()
        with suppress(duckdb.Error):
            database.execute("ROLLBACK")
    return {"columns": columns, "rows": rows}


def _interrupt_late(database: duckdb.DuckDBPyConnection, ends: float, done: Event) -> None:
    while not done.wait(0.02):
        if process_time() > ends:
            database.interrupt()


def _called_functions(database: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    """The functions that a query calls, and `a sample` if it takes samples of rows."""
    row = database.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise _QueryError(str(tree.get("error_message") or "it cannot be parsed"))
    return set(_called(tree))


def _called(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("function_name"), str):
            yield node["function_name"].lower()
        if node.get("sample"):
            yield _SAMPLE
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _called(item)


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[list[Any]]:
    count, size = 0, 0
    while some := found.fetchmany(1000):
        for row in some:
            count += 1
            values = [_comparable(value) for value in row]
            size += sum(len(value) if isinstance(value, str) else len(repr(value)) for value in values)
            if count > MOST_ROWS or size > MOST_BYTES:
                raise _QueryError(f"it has more than {MOST_ROWS:,} rows, or too long ones")
            yield values


def _comparable(value: Any) -> Any:
    """A value as it is compared: numbers by value, of twelve digits, since sums depend on the order of their parts."""
    if isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else str(value)
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, dict):
        return [[str(key), _comparable(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if isinstance(value, bytes):
        return f"blob {value.hex()}"
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)


if __name__ == "__main__":
    main()
