"""What several kinds of gate have in common: metric, slice, tolerated errors, a field, a level."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_path import normal_path
from pytest_finetune.verdicts.evalset.gate_metrics import BINARY, METRICS
from pytest_finetune.verdicts.evalset.settings_base import Settings, misfit
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.rule import Rule, RuleKind
from pytest_finetune.verdicts.stats.spending import Sequential  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from typing import Self


class Gate(Settings):
    """What each kind of gate may say besides its own keys."""

    metric: str = Field(default="accuracy", description="what is measured")
    scorer: str = Field(default="", description="name of a scorer of [[scorers]]; by default the one that decides")
    where: dict[str, str | int | bool] = Field(
        default_factory=dict, description='only cases with this tag or metadata: { tag = "critical" }'
    )
    per_case: str | None = Field(default=None, description="a case passes if this many of its repeats do: 4 of 5")
    max_errors: int | None = Field(default=None, ge=0, description="samples without an answer that are tolerated")

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            raise ValueError(f"unknown metric {value!r}; {did_you_mean(value, METRICS)}")
        return value

    @field_validator("per_case")
    @classmethod
    def _m_of_k(cls, value: str | None, info: ValidationInfo) -> str | None:
        match = re.fullmatch(r"([0-9]+) of ([0-9]+)", value or "")
        if value is not None and not (match and 1 <= int(match[1]) <= int(match[2])):
            raise ValueError(f"{value!r} is not of the form '3 of 5'")
        if value is not None and (metric := info.data.get("metric", "accuracy")) != "accuracy":
            raise misfit(f"per_case says when a case passes, which {metric} does not count", "use it with accuracy")
        return value

    def _rule(self, kind: RuleKind, bar: float | None, max_errors: int | None) -> Rule:
        per_case = self.per_case or ""
        return Rule(
            kind, self.metric, bar, where=self.where, per_case=per_case, max_errors=max_errors, scorer=self.scorer
        )

    def _tolerated(self, max_errors: int) -> int:
        return max_errors if self.max_errors is None else self.max_errors


class FieldGate(Gate):
    """A gate that may be about one field of JSON answers."""

    field: str = Field(default="", description="JSON path of one field of the answers, for field_accuracy")

    @field_validator("field")
    @classmethod
    def _one_field(cls, value: str, info: ValidationInfo) -> str:
        if (metric := info.data.get("metric", "accuracy")) != "field_accuracy":
            raise misfit(f"{metric} is not about a field", 'add metric = "field_accuracy"')
        if re.search(r"\[[0-9]+\]", path := normal_path(value)):
            raise misfit(f"{value} is one item of a list, which not every case has", "write [*] for all items")
        return path

    def _rule(self, kind: RuleKind, bar: float | None, max_errors: int | None) -> Rule:
        return replace(super()._rule(kind, bar, max_errors), field=self.field)


class CertainGate(FieldGate):
    """A gate that may be decided by an interval."""

    confidence: float | None = Field(
        default=None, gt=0.5, lt=1, description="level of the two-sided interval that has to clear the bar"
    )
    risk: float | None = Field(
        default=None, gt=0, lt=0.25, description="share of models at the bar that may pass; instead of confidence"
    )

    sequential: Sequential | None = Field(
        default=None, description="stop asking once it is decided: obrien-fleming, pocock or e-process"
    )

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        if self.confidence is not None and self.risk is not None:
            raise misfit("confidence and risk are two ways to write one level", "leave one of them out")
        return self

    @model_validator(mode="after")
    def _can_be_sequential(self) -> Self:
        if self.sequential is not None and self.metric not in BINARY:
            problem = f"sequential counts the cases that pass, which {self.metric} does not"
            raise misfit(problem, f"leave sequential out, or gate one of {', '.join(BINARY)}")
        if self.sequential is not None and self.level is None:
            problem = "sequential divides the risk of a wrong verdict over several looks, and the gate names no risk"
            raise misfit(problem, "add confidence = 0.95")
        return self

    @property
    def level(self) -> float | None:
        """The two-sided level of the interval that decides: one end is wrong with a probability of `risk`."""
        return self.confidence if self.risk is None else float(1 - 2 * as_written(self.risk))
