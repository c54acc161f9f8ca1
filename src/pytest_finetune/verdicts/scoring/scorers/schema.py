"""`schema`: the answer is valid under a JSON Schema, whatever it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_shape import shape
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.scoring.answers import read_json, truncated
from pytest_finetune.verdicts.scoring.json_values import DEEP, settings_schema

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema


@dataclass(frozen=True, slots=True)
class SchemaScorer(Scorer):
    """Validity alone; expected answers are not looked at."""

    # Without field() the inherited property would become the default.
    schema: Schema = field()
    name = "schema"
    settings: ClassVar = frozenset({"schema"})
    metrics: ClassVar = frozenset({"valid_rate", "format_stability"})
    fence: ClassVar = "json"
    holds_json: ClassVar = True
    form_decides: ClassVar = True

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `schema`.

        Raises:
            ScorerError: No schema is set, or it cannot be used.
        """
        schema = settings_schema(settings, folder)
        if schema is None:
            raise ScorerError("scorer 'schema' needs a schema", hint='add schema = "FILE.json"')
        return cls(schema)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the schema."""
        return self.schema.warnings

    def score(self, case: Case, completion: Completion) -> Score:  # noqa: ARG002 - the schema alone decides
        """Passed if the answer is strict JSON and valid."""
        try:
            answer = read_json(completion)
            if fault := self.schema.fault(answer):
                return (truncated(completion) or fault).score()
            return Score(passed=True, shape=shape(answer))
        except FormatFault as unread:
            return unread.score()
        except RecursionError:
            return FormatFault(FormatFailure.NOT_JSON, DEEP, undecided=True).score()
