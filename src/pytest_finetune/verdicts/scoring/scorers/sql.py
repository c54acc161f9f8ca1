"""`sql`: the answer has the expected statements once parsed: layout, letter case and comments do not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.scoring.answers import fenced_or_refused, missing_answer, truncated
from pytest_finetune.verdicts.scoring.needs import need
from pytest_finetune.verdicts.scoring.sqlglot_source import import_from_source
from pytest_finetune.verdicts.scoring.texts import PASSED, difference, unusable_text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


@dataclass(frozen=True, slots=True)
class SqlScorer(Scorer):
    """
    Statements, compared one for one.

    Args:
        dialect: The `sqlglot.Dialect` that both sides are read in.
    """

    dialect: Any
    name = "sql"
    settings: ClassVar = frozenset({"dialect"})
    metrics: ClassVar = frozenset({"valid_rate", "format_stability"})
    fence: ClassVar = "sql"

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """
        Reads `dialect`.

        Raises:
            ScorerError: sqlglot is not installed or cannot be limited, or does not know the dialect.
        """
        need("sqlglot", "sql", "scorer 'sql'")
        import_from_source()
        from sqlglot import Dialect

        try:
            return cls(Dialect.get_or_raise(settings.dialect))
        except ValueError as error:
            raise ScorerError(f"dialect {settings.dialect!r} is unknown", hint=str(error)) from None

    def check(self, case: Case) -> str | None:
        """Every expected answer must parse."""
        from pytest_finetune.verdicts.scoring.sql_statements import SqlFault, expected_statements

        if problem := unusable_text(case, str):
            return problem
        for expected in case.expected:
            try:
                expected_statements(expected, self.dialect)
            except SqlFault as fault:
                return f"expected {shorten(expected)!r} is not SQL: {fault}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the answer holds the statements of any expected answer, in order."""
        from pytest_finetune.verdicts.scoring.sql_statements import SqlFault, is_any_of

        if fault := missing_answer(completion):
            return fault.score()
        if completion.text.strip() in {expected.strip() for expected in case.expected}:
            return PASSED
        try:
            passed = is_any_of(completion.text, case.expected, self.dialect)
        except SqlFault as error:
            named = truncated(completion) or fenced_or_refused(completion.text)
            problem = f"not SQL: {shorten(str(error), 160)}"
            return (named or FormatFault(FormatFailure.OTHER, problem, undecided=error.undecided)).score()
        return PASSED if passed else Score(passed=False, detail=difference(case, completion))
