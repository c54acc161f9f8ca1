"""`[[gates]]`: one class for each kind of gate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from pytest_finetune.verdicts.evalset.gate_base import CertainGate, Gate
from pytest_finetune.verdicts.evalset.gate_metrics import LONG_TAILED, MEAN_F1, RATES
from pytest_finetune.verdicts.evalset.settings_base import misfit
from pytest_finetune.verdicts.metrics.shares import CASE_MEANS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import PydanticCustomError

    from pytest_finetune.verdicts.rule import Rule

ONE_RULE = "a gate has exactly one of min, max, max_drop, max_flips, must_pass"


class BarGate(CertainGate):
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


class DropGate(CertainGate):
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


class FlipsGate(Gate):
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


class MustPassGate(Gate):
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
_KINDS: dict[str, type[Gate]] = {
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
