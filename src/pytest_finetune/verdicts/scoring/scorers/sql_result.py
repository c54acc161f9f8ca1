"""`sql_result`: the answer is a query with the expected query's result on a small database of the eval set."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.evalset.settings_base import Settings
from pytest_finetune.verdicts.scoring.answers import fenced_or_refused, missing_answer, truncated
from pytest_finetune.verdicts.scoring.needs import need
from pytest_finetune.verdicts.scoring.sql_execution import Database, QueryFault, Result, is_ordered, same_rows
from pytest_finetune.verdicts.scoring.texts import PASSED, unusable_text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.scoring.duckdb_execution import DuckDatabase


class SqlResultOptions(Settings):
    """What the scorer reads from `[scorer]`."""

    database: str = Field(description='a script next to the set that makes the tables: database = "shop.sql"')
    engine: Literal["sqlite", "duckdb"] = Field(default="sqlite", description='"sqlite" or "duckdb"')


@dataclass(frozen=True, slots=True)
class SqlResultScorer(Scorer):
    """
    Queries, compared by their rows.

    Args:
        database: What both are run on.
        fingerprint: Hash of the script that makes the database: another one gives other results.
    """

    database: Database | DuckDatabase
    # Without field() the inherited property would become the default.
    fingerprint: str = field()
    name = "sql_result"
    options: ClassVar = SqlResultOptions
    metrics: ClassVar = frozenset({"valid_rate", "format_stability"})
    blocking: ClassVar = True
    fingerprinted: ClassVar = True
    fence: ClassVar = "sql"
    _results: dict[str, Result] = field(default_factory=dict)

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `database` and `engine`.

        Raises:
            ScorerError: The script cannot be read, or fails, or DuckDB is not installed.
        """
        options = SqlResultOptions.model_validate(settings.scorer_options)
        name, made = options.database, Database if options.engine == "sqlite" else _duck_database
        try:
            data = (folder / name).read_bytes()
            return cls(made(data.decode()), sha256(data).hexdigest())
        except OSError as error:
            hint = "the path is relative to the eval set"
            raise ScorerError(f"database {name!r} cannot be read: {error.strerror}", hint=hint) from None
        except UnicodeDecodeError:
            hint = "write the SQL that makes the tables; sqlite3 FILE .dump prints it"
            raise ScorerError(f"database {name!r} is not a script in UTF-8", hint=hint) from None
        except (sqlite3.Error, ValueError) as error:
            hint = "SQLite must be able to run it: sqlite3 :memory: < FILE"
            if options.engine == "duckdb":
                hint = "DuckDB must be able to run it, without reading files"
            raise ScorerError(f"database {name!r}: the script fails: {error}", hint=hint) from None

    def check(self, case: Case) -> str | None:
        """Every expected answer must be a query that runs and finds something."""
        if problem := unusable_text(case, str):
            return problem
        for expected in case.expected:
            try:
                result = self._expected(expected)
            except QueryFault as fault:
                return f"expected {shorten(expected)!r} has no result: {fault}"
            if not result.rows:
                return f"expected {shorten(expected)!r} finds no rows, as would most wrong queries"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the rows are those of any expected query, in order where that one has an order."""
        if fault := missing_answer(completion):
            return fault.score()
        try:
            got = self.database.result(completion.text)
        except QueryFault as error:
            named = truncated(completion) or fenced_or_refused(completion.text)
            return (named or FormatFault(FormatFailure.OTHER, f"no result: {shorten(str(error), 160)}")).score()
        if any(self._accepts(expected, got, completion.text) for expected in case.expected):
            return PASSED
        if fault := truncated(completion):
            return fault.score()
        return Score(passed=False, detail=_difference(self._expected(case.expected[0]), got, case.expected[0]))

    def _accepts(self, expected: str, got: Result, query: str) -> bool:
        ordered = is_ordered(expected)
        # Without an order of its own the answer may have the expected one by chance.
        by_chance = ordered and len(got.rows) > 1 and not is_ordered(query)
        return not by_chance and same_rows(self._expected(expected), got, ordered=ordered)

    def _expected(self, query: str) -> Result:
        if query not in self._results:
            self._results[query] = self.database.result(query)
        return self._results[query]


def _duck_database(script: str) -> DuckDatabase:
    from pytest_finetune.verdicts.scoring.duckdb_execution import DuckDatabase

    need("duckdb", "duckdb", "engine 'duckdb'")
    return DuckDatabase(script)


def _difference(expected: Result, got: Result, query: str) -> str:
    if expected.columns != got.columns:
        return f"expected {expected.columns} columns, got {got.columns}"
    if same_rows(expected, got, ordered=False):
        return "the rows are the expected ones, in another order or without ORDER BY"
    pairs = zip(expected.rows, got.rows, strict=False)
    first = next((number for number, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
    counts = f"expected {len(expected.rows):,} rows, got {len(got.rows):,}"
    if first is None or not is_ordered(query):
        return counts if len(expected.rows) != len(got.rows) else f"{counts}, and not the same ones"
    return (
        f"{counts}; row {first + 1}: expected {shorten(str(expected.rows[first]))}, got {shorten(str(got.rows[first]))}"
    )
