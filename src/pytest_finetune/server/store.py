"""The records of the server, in SQLite; each change is committed at once, so that a killed server loses nothing."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict

from pytest_finetune.base.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.server.wire import PageQuery

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, parent, name)
);
CREATE INDEX IF NOT EXISTS of_parent ON records (kind, parent, number);
"""


class StoredRecord(BaseModel):
    """A record with an id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    created_at: int


AnyRecord = TypeVar("AnyRecord", bound=StoredRecord)


class Store:
    """
    Records of several kinds; each kind is a class.

    Args:
        path: The database file; created if missing.

    Raises:
        ServerError: The file is not a database, or belongs to another program.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise ServerError(
                f"the state cannot be read: {error}", str(path), "move it away to start with an empty state"
            ) from None

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, record: StoredRecord, *, parent: str = "", name: str = "") -> bool:
        """
        Add a record.

        Args:
            record: The record.
            parent: Id of the record that it belongs to.
            name: Unique among the records of the parent, so that a replayed event is added only once.

        Returns:
            True if it was added; False if the parent has a record of this name, which is left unchanged.
        """
        values = (type(record).__name__, record.id, parent, name or record.id, record.model_dump_json())
        done = self._database.execute(
            "INSERT INTO records (kind, id, parent, name, body) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, parent, name) DO NOTHING",
            values,
        )
        return done.rowcount == 1

    def replace(self, record: StoredRecord) -> None:
        """Replace a record."""
        self._database.execute("UPDATE records SET body = ? WHERE id = ?", (record.model_dump_json(), record.id))

    def change(self, record: AnyRecord, **changes: object) -> AnyRecord:
        """Change some fields of a record; returns the changed record."""
        changed = record.model_copy(update=changes)
        self.replace(changed)
        return changed

    def find(self, kind: type[AnyRecord], name: str) -> AnyRecord | None:
        """Get a record by its id."""
        row = self._database.execute(
            "SELECT body FROM records WHERE id = ? AND kind = ?", (name, kind.__name__)
        ).fetchone()
        return None if row is None else kind.model_validate_json(row[0])

    def current(self, record: AnyRecord) -> AnyRecord:
        """
        The stored version of a record.

        Raises:
            LookupError: The record was deleted.
        """
        found = self.find(type(record), record.id)
        if found is None:
            raise LookupError(f"{record.id} was deleted")
        return found

    def all(self, kind: type[AnyRecord], *, parent: str = "") -> Iterator[AnyRecord]:
        """All records of a kind and parent, oldest first."""
        rows = self._database.execute(
            "SELECT body FROM records WHERE kind = ? AND parent = ? ORDER BY number", (kind.__name__, parent)
        ).fetchall()
        return (kind.model_validate_json(row[0]) for row in rows)

    def page(
        self,
        kind: type[AnyRecord],
        *,
        parent: str = "",
        query: PageQuery,
        oldest_first: bool = False,
        fields: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> tuple[list[AnyRecord], bool] | None:
        """
        One page of records and whether more follow; newest first by default.

        Args:
            kind: Their class.
            parent: Id of the record that they belong to.
            query: Which page.
            oldest_first: Reverse the order.
            fields: Required values of fields.
            metadata: Required values of keys in the field `metadata`.

        Returns:
            None if there is no record with the id `query.after`.
        """
        order, compare = ("ASC", ">") if oldest_first else ("DESC", "<")
        conditions, values = _having({"$": fields or {}, "$.metadata": metadata or {}})
        if query.after is not None:
            number = self._number(kind, parent, query.after)
            if number is None:
                return None
            conditions.append(f"number {compare} ?")
            values.append(number)
        where = " AND ".join(["kind = ?", "parent = ?", *conditions])
        # Only constant conditions are joined; everything from a client is a parameter.
        statement = f"SELECT body FROM records WHERE {where} ORDER BY number {order} LIMIT ?"  # noqa: S608
        rows = self._database.execute(statement, (kind.__name__, parent, *values, query.limit + 1))
        found = [kind.model_validate_json(row[0]) for row in rows]
        return found[: query.limit], len(found) > query.limit

    def _number(self, kind: type[StoredRecord], parent: str, name: str) -> int | None:
        row = self._database.execute(
            "SELECT number FROM records WHERE id = ? AND kind = ? AND parent = ?", (name, kind.__name__, parent)
        ).fetchone()
        return None if row is None else int(row[0])

    def remove(self, record: StoredRecord) -> None:
        """Delete a record."""
        self._database.execute("DELETE FROM records WHERE id = ?", (record.id,))


def _having(wanted: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str | int]]:
    """Conditions on the values of keys, by the path of the object that has the keys, and their parameters."""
    conditions: list[str] = []
    values: list[str | int] = []
    for path, pairs in wanted.items():
        for key, value in pairs.items():
            # The key is a parameter: in a JSON path it would need quotes, and may itself contain quotes.
            conditions.append("EXISTS (SELECT 1 FROM json_each(body, ?) AS f WHERE f.key = ? AND f.value = ?)")
            values += [path, key, value]
    return conditions, values
