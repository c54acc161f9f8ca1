"""`schema`: the answer is valid under a JSON Schema, whatever it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.verdicts.scoring.json_value import DEEP, schema_of
from pytest_finetune.verdicts.scoring.shape import shape
from pytest_finetune.verdicts.scoring.taxonomy import FormatFault, read_json, truncated

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.scoring.schema_validation import Schema


@dataclass(frozen=True, slots=True)
class SchemaScorer:
    """Validity alone; expected answers are not looked at."""

    schema: Schema
    name: ClassVar[str] = "schema"
    blocking: ClassVar[bool] = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the schema."""
        return self.schema.warnings

    def check(self, case: Case) -> str | None:  # noqa: ARG002 - every case will do
        """No case is unfit."""
        return None

    def score(self, case: Case, completion: Completion) -> Score:  # noqa: ARG002 - the schema alone decides
        """Passed when the answer is strict JSON and valid."""
        try:
            answer = read_json(completion)
            if fault := self.schema.fault(answer):
                return (truncated(completion) or fault).score()
            return Score(passed=True, shape=shape(answer))
        except FormatFault as unread:
            return unread.score()
        except RecursionError:
            return FormatFault(FormatFailure.NOT_JSON, DEEP).score()


def make(settings: EvalSettings, folder: Path) -> SchemaScorer:
    """
    A `schema` scorer.

    Raises:
        ScorerError: No schema is set, or it cannot be used.
    """
    schema = schema_of(settings, folder)
    if schema is None:
        raise ScorerError("scorer 'schema' needs a schema", hint='add schema = "FILE.json"')
    return SchemaScorer(schema)
