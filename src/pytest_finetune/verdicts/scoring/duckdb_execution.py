"""Queries on DuckDB, each in a process that is ended when it takes too long."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.line_process import NO_ANSWER, LineProcess
from pytest_finetune.verdicts.scoring.sql_execution import QueryFault, Result

if TYPE_CHECKING:
    from collections.abc import Hashable

SECONDS = 60.0
"""Time for one query on the clock; the process itself ends one after 5 seconds of processor time."""

_PROGRAM = str(Path(__file__).with_name("duckdb_process.py"))


class DuckDatabase:
    """
    A database of DuckDB in the memory of another process, made from a script.

    Args:
        script: SQL statements that make the tables and fill them; they cannot read files.

    Raises:
        ValueError: The script fails, or makes no table.
    """

    def __init__(self, script: str) -> None:
        self._script, self._lock, self._process = script, Lock(), _Holder()
        weakref.finalize(self, self._process.end)
        with self._lock:
            answer = self._started()
        if "fault" in answer:
            raise ValueError(answer["fault"])
        if not answer["tables"]:
            raise ValueError("it makes no table")

    def result(self, query: str) -> Result:
        """
        The result of one query.

        Raises:
            QueryFault: It is not one query, is not allowed, or takes too much time or memory.
        """
        with self._lock:
            answer = {} if self._process.is_running else self._started()
            # A process without the tables would take the query for the script that makes them.
            answer = answer if "fault" in answer else self._ask(query)
        if "fault" in answer:
            raise QueryFault(answer["fault"])
        return Result(answer["columns"], tuple(tuple(map(_hashable, row)) for row in answer["rows"]))

    def _started(self) -> dict[str, Any]:
        self._process.start()
        answer = self._ask(self._script)
        if "fault" in answer:
            self._process.end()
        return answer

    def _ask(self, text: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._process.ask(json.dumps(text)))
        except NO_ANSWER:
            self._process.end()
            return {"fault": "it takes too much time or memory"}
        return answer


class _Holder:
    """The process of a database, which ends with it."""

    def __init__(self) -> None:
        self._running: LineProcess | None = None

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.is_ours

    def start(self) -> None:
        self._running = LineProcess((_PROGRAM,))

    def ask(self, line: str) -> str:
        """Raises one of `NO_ANSWER`."""
        if self._running is None:
            raise BrokenPipeError
        self._running.wait_until_ready()
        return self._running.ask(line, SECONDS)

    def end(self) -> None:
        if self._running is not None and self._running.is_ours:
            self._running.end()
        self._running = None


def _hashable(value: Any) -> Hashable:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
