"""Queries on a database of their own, in memory: read only, in bounded time and space, whatever their text is."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

STEPS = 10_000_000
"""Instructions of SQLite's virtual machine for one query, about a second. A busy machine counts no more of them."""

SECONDS = 5.0
"""Time for one query, which only one that repeats slow functions exceeds before its steps."""

SCRIPT_SECONDS = 60.0
"""Time for the script that makes a database."""

MOST_ROWS = 100_000
MOST_BYTES = 50_000_000
"""Size of all texts and blobs of a result."""

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 100_000,  # of one text or blob: `instr` takes quadratic time in one instruction
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,  # so does LIKE, and worse
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
_EVERY = 100
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_REFUSED_FUNCTIONS = frozenset({"load_extension", "random", "randomblob", "fts3_tokenizer", "sqlite_offset"})
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\$\$.*?\$\$|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|$)|[()]|\w+|;""", re.DOTALL
)


class QueryFault(ValueError):  # noqa: N818 - a fault in a query, not an error of ours
    """A query has no result: it is not SQL, changes something, or takes too long. Its argument is one clause."""


class Result(NamedTuple):
    """The rows of a query, with numbers as they compare, and the number of columns."""

    columns: int
    rows: tuple[tuple[Hashable, ...], ...]


class Database:
    """
    A database in memory, made from a script once and copied for every query.

    Args:
        script: SQL statements that make the tables and fill them.

    Raises:
        sqlite3.Error: The script fails, reaches for another file, or takes longer than a minute.
        ValueError: It makes no table.
    """

    def __init__(self, script: str) -> None:
        ends = perf_counter() + SCRIPT_SECONDS
        with closing(sqlite3.connect(":memory:")) as database:
            database.set_authorizer(_authorize_script)
            database.set_progress_handler(lambda: perf_counter() > ends, 100 * _EVERY)
            database.executescript(script)
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise ValueError("it makes no table")
            self._image = database.serialize()

    def result(self, query: str) -> Result:
        """
        The result of one query.

        Raises:
            QueryFault: It is not one query, is not allowed, or takes too many steps.
        """
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(self._image)
            return _run(database, query)


def is_ordered(query: str) -> bool:
    """Whether a query asks for an order of its rows: `ORDER BY` outside of all parentheses, texts and comments."""
    depth, before = 0, ""
    for found in map(str.upper, _TOKEN.findall(query)):
        if found.startswith(("--", "/*")):
            continue
        if found == "(":
            depth += 1
        elif found == ")":
            depth -= 1
        if depth == 0 and (before, found) == ("ORDER", "BY"):
            return True
        before = found
    return False


def same_rows(expected: Result, got: Result, *, ordered: bool) -> bool:
    """Whether two results have equal rows, as often, with `ordered` in the same order; column names do not matter."""
    if expected.columns != got.columns:
        return False
    return expected.rows == got.rows if ordered else Counter(expected.rows) == Counter(got.rows)


def _run(database: sqlite3.Connection, query: str) -> Result:
    left, ends, stopped = STEPS // _EVERY, perf_counter() + SECONDS, False

    def stop() -> bool:
        nonlocal left, stopped
        left -= 1
        stopped = left < 0 or perf_counter() > ends
        return stopped

    for limit, value in _LIMITS.items():
        database.setlimit(limit, value)
    database.set_authorizer(_authorize)
    database.set_progress_handler(stop, _EVERY)
    try:
        cursor = database.execute(query)
        if cursor.description is None:
            raise QueryFault("it is not a query")
        rows = tuple(_bounded(cursor))
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, QueryFault):
            raise
        raise QueryFault("it takes too long" if stopped else str(error) or type(error).__name__) from None
    return Result(len(cursor.description), rows)


def _bounded(cursor: sqlite3.Cursor) -> Iterator[tuple[Hashable, ...]]:
    size = 0
    for number, row in enumerate(cursor):
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if number >= MOST_ROWS or size > MOST_BYTES:
            raise QueryFault(f"it has more than {MOST_ROWS:,} rows, or too long ones")
        yield tuple(map(_comparable, row))


def _authorize_script(action: int, *_: str | None) -> int:
    """Everything but other files: `VACUUM INTO` is an ATTACH too."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _authorize(action: int, *names: str | None) -> int:
    refused = action == sqlite3.SQLITE_FUNCTION and (names[1] or "").lower() in _REFUSED_FUNCTIONS
    return sqlite3.SQLITE_OK if action in _ALLOWED and not refused else sqlite3.SQLITE_DENY


def _comparable(value: object) -> Hashable:
    """A value as it is compared: numbers by value, of twelve digits, since sums depend on the order of their parts."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return value if isinstance(value, int | str | bytes) else None
