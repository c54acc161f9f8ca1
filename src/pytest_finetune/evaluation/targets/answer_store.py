"""A key-value store of texts in one SQLite file shared by processes; no method raises, whatever happens to the file."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 64
"""Texts written in one transaction, because a commit costs as much as many inserts."""

LONGEST = 1.0
"""Seconds between transactions while texts come in: what a killed process may lose."""

PATIENCE = 0.1
"""Seconds to wait for another process that writes; then the batch waits for a later one."""

LAST_PATIENCE = 5.0
"""The same on closing, when there is no later one."""

_PRIVATE = 0o600

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class AnswerStore:
    """
    Texts stored under a key by this process or another.

    A broken file is renamed to `NAME.broken` and a new one is started. If that fails too, or the file cannot be used at
    all, nothing is stored. `warnings` reports both.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._connection: sqlite3.Connection | None = None
        self._pending: dict[bytes, str] = {}
        self._flush_at = BATCH
        self._flushed = 0.0

    def open(self) -> None:
        """Open the file, or create it."""
        try:
            self._connection = _connect(self.path)
        except (sqlite3.Error, OSError) as error:
            self._repair(error)

    def get(self, key: bytes) -> str | None:
        """The text under a key; None if there is none."""
        if self._connection is None or key in self._pending:
            return self._pending.get(key)
        try:
            row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            self._repair(error)
            return None
        return row[0] if row and isinstance(row[0], str) else None

    def put(self, key: bytes, answer: str) -> None:
        """Store a text; it is written with the next batch."""
        if self._connection is None:
            return
        self._pending[key] = answer
        if len(self._pending) >= self._flush_at or time.monotonic() - self._flushed > LONGEST:
            self._flush()

    def close(self) -> None:
        """Write the pending texts and close the file; safe to call twice."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA busy_timeout = {LAST_PATIENCE * 1000:.0f}")
            self._flush()
        self._disconnect()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._connection is None:
            return
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", self._pending.items())
            self._pending.clear()
        except sqlite3.Error as error:
            self._repair(error)
        self._flush_at = len(self._pending) + BATCH

    def _repair(self, error: sqlite3.Error | OSError) -> None:
        """Continue without what failed: the batch, the old file, or any file."""
        code = getattr(error, "sqlite_errorcode", None)
        # Extended codes say more in their upper bytes.
        primary = None if code is None else code & 0xFF
        if primary in _BUSY and self._connection is not None:
            return
        self._disconnect()
        if primary not in _BROKEN or self._set_aside().exists():
            self._give_up(error)
            return
        kept = f"kept as {self.path.name}.broken and a new one started"
        self.warnings.append(f"response cache {self.path}: {error}; {kept}")
        try:
            self._connection = _connect(self.path)
        except (sqlite3.Error, OSError) as second:
            self._give_up(second)

    def _set_aside(self) -> Path:
        """Rename the file; a journal left next to it would be applied to the new one."""
        with suppress(OSError):
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self.path.replace(self.path.with_name(f"{self.path.name}.broken"))
        return self.path

    def _give_up(self, error: Exception) -> None:
        self._pending.clear()
        self.warnings.append(f"response cache {self.path}: {error}; answers are not cached")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Answers may hold private data. SQLite gives the journal the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE))
    # A file of another user keeps its mode.
    with suppress(PermissionError):
        path.chmod(_PRIVATE)
    connection = sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False)
    try:
        with suppress(sqlite3.OperationalError):
            # Another process may be switching it at this moment, and once is enough.
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA busy_timeout = {LAST_PATIENCE * 1000:.0f}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
        )
        connection.execute("SELECT key, answer FROM answers LIMIT 1")
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
    except BaseException:
        connection.close()
        raise
    return connection
