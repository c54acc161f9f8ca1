"""`[[gates]]`: one class for each kind of gate, and the metrics that a gate may be about."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_path import normal_path
from pytest_finetune.verdicts.evalset.settings_base import Settings, misfit
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.metrics.shares import CASE_MEANS
from pytest_finetune.verdicts.rule import Rule, RuleKind
from pytest_finetune.verdicts.stats.spending import Sequential  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from pydantic_core import PydanticCustomError

METRICS = (
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "recall",
    "score",
    "win_rate",
    "field_accuracy",
    "valid_rate",
    "format_stability",
    "agreement",
    "pairwise_agreement",
    "error_rate",
    "ece",
    "accuracy_at_coverage",
    "latency_p50",
    "latency_p95",
    "tokens_per_case",
    "cost_per_case",
)
"""What a gate may ask of a run; `latency_*` in seconds, `cost_per_case` in US dollars."""

RATES = METRICS[:14]
"""The metrics that lie in [0, 1]."""

MEAN_F1 = ("macro_f1", "weighted_f1")
"""Means of the labels' F1, whose drop has no paired interval."""

LONG_TAILED = ("tokens_per_case", "cost_per_case")
"""Metrics whose mean has an interval to look at, but none to decide by: see docs/verdicts.md."""

BINARY = ("accuracy", "valid_rate", "format_stability", "error_rate")
"""The metrics that count cases, which sequential gates are about."""

ONE_RULE = "a gate has exactly one of min, max, max_drop, max_flips, must_pass"


class _Gate(Settings):
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


class _FieldGate(_Gate):
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


class _CertainGate(_FieldGate):
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


class BarGate(_CertainGate):
    """The metric has to reach `min` or to stay within `max`."""

    min: float | None = Field(default=None, description="the lowest value that passes")
    max: float | None = Field(default=None, description="the highest value that passes")
    coverage: float | None = Field(
        default=None, gt=0, le=1, description="share of the cases, the most confident, for accuracy_at_coverage"
    )

    label: str | None = Field(
        default=None, description='for recall: the label whose cases count, or "*" for the label with the lowest recall'
    )

    @field_validator("label")
    @classmethod
    def _of_recall(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and (metric := info.data.get("metric")) != "recall":
            raise misfit(f"{metric} is not about one label", 'add metric = "recall"')
        return value

    @field_validator("coverage")
    @classmethod
    def _of_the_most_confident(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and (metric := info.data.get("metric")) != "accuracy_at_coverage":
            raise misfit(f"{metric} has no coverage", 'add metric = "accuracy_at_coverage"')
        return value

    @field_validator("confidence", "risk")
    @classmethod
    def _has_an_interval(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and (metric := info.data.get("metric")) in LONG_TAILED:
            hint = f"leave {info.field_name} out"
            raise misfit(f"{metric} has a long tail, and no interval of its mean is reliable", hint)
        return value

    @model_validator(mode="after")
    def _one_reachable_bar(self) -> BarGate:
        if self.min is not None and self.max is not None:
            raise ValueError(f"{ONE_RULE}; found min and max")
        if self.metric == "accuracy_at_coverage" and self.coverage is None:
            raise misfit("accuracy_at_coverage of which share of the cases?", "add coverage = 0.8")
        if self.metric == "recall" and not self.label:
            raise misfit("recall of which label?", 'add label = "…", or label = "*" for the lowest of all labels')
        if self.metric == "ece" and self.max is None:
            raise misfit("a large ece is bad", "use max instead of min")
        if self.metric in RATES and not 0 <= self.bar <= 1:
            raise ValueError(f"{self.metric} is in [0, 1]; the bar {self.bar:g} cannot be met or missed")
        if self.max is not None and self.max <= 0 and self.metric not in RATES:
            raise misfit(f"nothing stays within {self.metric} <= {self.max:g}", "use a bar above 0")
        if self.max is not None and self.max_errors is not None and (self.max_errors or self.metric == "error_rate"):
            raise _unread_max_errors(self.metric)
        return self

    @property
    def bar(self) -> float:
        """The limit, in the metric's unit."""
        return self.min if self.min is not None else self.max or 0.0

    def rule(self, max_errors: int = 0) -> Rule:
        """The facts, in a set that tolerates `max_errors`."""
        if self.metric == "error_rate" and (self.max is not None or self.max_errors is None):
            # Errors are what is measured: the bar itself limits them.
            tolerated = None
        else:
            # Under `max` a missing answer counts for the model: the slowest one has no latency, and a missed one keeps
            # accuracy low.
            tolerated = self._tolerated(max_errors) if self.max is None else 0
        rule = self._rule("min" if self.max is None else "max", self.bar, tolerated)
        return replace(
            rule,
            confidence=self.level,
            coverage=self.coverage or 1.0,
            of_label=self.label or "",
            sequential=self.sequential or "",
        )


class DropGate(_CertainGate):
    """The metric may be lower than the baseline's by at most `max_drop`."""

    against: str = Field(description="baseline, production, or replay:RUN")
    max_drop: float = Field(ge=0, lt=1, description="how much lower than the baseline the metric may be")
    family: Literal["holm", "hierarchy"] | None = Field(
        default=None, description="how the gates with this family share their level: holm, or hierarchy (the set first)"
    )

    @model_validator(mode="after")
    def _paired(self) -> DropGate:
        if self.metric not in (*CASE_MEANS, *MEAN_F1):
            raise misfit(f"a drop of {self.metric} cannot be judged by pairs of cases", "use max")
        if self.metric in MEAN_F1 and self.level is not None:
            hint = f"leave {'confidence' if self.risk is None else 'risk'} out"
            raise misfit(f"a drop of {self.metric} has no paired interval", hint)
        if self.family is not None and self.level is None:
            raise misfit("a family shares the level of its gates, and this gate has none", "add confidence = 0.95")
        if self.family is not None and self.sequential is not None:
            problem = "a family divides its risk over its gates, and sequential divides it over looks"
            raise misfit(problem, "leave one of them out")
        return self

    def rule(self, max_errors: int = 0) -> Rule:
        """The facts, in a set that tolerates `max_errors`."""
        rule = self._rule("max_drop", self.max_drop, self._tolerated(max_errors))
        return replace(
            rule,
            confidence=self.level,
            against=self.against,
            family=self.family or "",
            sequential=self.sequential or "",
        )


class FlipsGate(_Gate):
    """At most `max_flips` cases that pass in the baseline may miss."""

    against: str = Field(description="baseline, production, or replay:RUN")
    max_flips: int = Field(ge=0, description="cases that pass in the baseline and may miss")

    @field_validator("metric")
    @classmethod
    def _of_cases(cls, value: str) -> str:
        return _only_accuracy(value, "max_flips")

    def rule(self, max_errors: int = 0) -> Rule:
        """The facts, in a set that tolerates `max_errors`."""
        return replace(self._rule("max_flips", self.max_flips, self._tolerated(max_errors)), against=self.against)


class MustPassGate(_Gate):
    """Every case with one of the tags has to pass."""

    must_pass: list[str] = Field(min_length=1, description="tags; every case with one of them has to pass")

    @field_validator("metric")
    @classmethod
    def _of_cases(cls, value: str) -> str:
        return _only_accuracy(value, "must_pass")

    def rule(self, max_errors: int = 0) -> Rule:
        """The facts, in a set that tolerates `max_errors`."""
        return replace(self._rule("must_pass", None, self._tolerated(max_errors)), tags=tuple(self.must_pass))


# Brackets, because an error's path holds the tag between the keys that the user wrote, and no key looks like one.
_KINDS: dict[str, type[_Gate]] = {
    "[max_drop]": DropGate,
    "[max_flips]": FlipsGate,
    "[must_pass]": MustPassGate,
    "[min or max]": BarGate,
}
_RULE_KEYS = {"max_drop": 0, "max_flips": 1, "must_pass": 2, "min": 3, "max": 3}


def _kind_of(value: object) -> str | None:
    """The tag of the first rule that a gate names; None where it names none."""
    tags = list(_KINDS)
    if isinstance(value, dict):
        return next((tags[index] for key, index in _RULE_KEYS.items() if value.get(key) not in (None, [])), None)
    return next((tag for tag, kind in _KINDS.items() if isinstance(value, kind)), None)


GateSettings = Annotated[
    Annotated[DropGate, Tag("[max_drop]")]
    | Annotated[FlipsGate, Tag("[max_flips]")]
    | Annotated[MustPassGate, Tag("[must_pass]")]
    | Annotated[BarGate, Tag("[min or max]")],
    Discriminator(_kind_of, custom_error_type="no_rule", custom_error_message=f"{ONE_RULE}; found none"),
]
"""`[[gates]]`: one rule over a run, of the kind whose key is there."""

GATE_KEYS: dict[str, tuple[str, ...]] = {tag: tuple(kind.model_fields) for tag, kind in _KINDS.items()}
"""The keys of each kind of gate, by the tag that pydantic puts into the path of an error."""


def family_faults(rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """What is wrong with the families of a set's gates: the problem and a hint."""
    for family, scorer in dict.fromkeys((rule.family, rule.scorer) for rule in rules if rule.family):
        members = [rule for rule in rules if (rule.family, rule.scorer) == (family, scorer)]
        slices = [rule for rule in members if rule.where]
        if len({rule.confidence for rule in members}) > 1:
            yield f'the gates of family = "{family}" have several levels', "give all of them the same confidence"
        if family == "hierarchy" and not 0 < len(slices) < len(members):
            problem = "a hierarchy tests a gate over the whole set first, then gates over slices"
            yield problem, "give it a gate without where, and others with one"
        elif len(members) == 1:
            yield f'family = "{family}" has one gate, and nothing to share its level with', "leave family out"


def _unread_max_errors(metric: str) -> PydanticCustomError:
    if metric == "error_rate":
        return misfit("max_errors has no effect on a gate whose bar limits the errors", "leave max_errors out")
    return misfit("a gate with max tolerates no errors, so max_errors has no effect", "leave max_errors out")


def _only_accuracy(metric: str, key: str) -> str:
    if metric != "accuracy":
        raise misfit(f"{key} counts cases that pass, not {metric}", "leave metric out")
    return metric
