"""Settings of an eval set; an unknown key is an error, so that a misspelt gate cannot go unnoticed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_path import normal_path
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers, installed_scorers, is_known
from pytest_finetune.verdicts.metrics.shares import CASE_MEANS
from pytest_finetune.verdicts.rule import Rule, RuleKind

Normalizer = Literal["strip", "casefold", "nfkc", "collapse_whitespace", "strip_punctuation"]

METRICS = (
    "accuracy",
    "macro_f1",
    "score",
    "field_accuracy",
    "valid_rate",
    "format_stability",
    "agreement",
    "error_rate",
    "latency_p50",
    "latency_p95",
    "tokens_per_case",
    "cost_per_case",
)
"""What a gate may ask of a run; `latency_*` in seconds, `cost_per_case` in US dollars."""

RATES = METRICS[:8]
"""The metrics that lie in [0, 1]."""

LONG_TAILED = ("tokens_per_case", "cost_per_case")
"""Metrics whose mean has an interval to look at, but none to decide by: see docs/verdicts.md."""

ONE_RULE = "a gate has exactly one of min, max, max_drop, max_flips, must_pass"


class Settings(BaseModel):
    """Base of all settings read from people: frozen, and no key goes unread."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Default = Literal["default"]
"""The value of a parameter that is not sent, so that the server uses its own."""


class RequestSettings(Settings):
    """
    `[request]`: parameters of every request besides model and messages; one that is `"default"` is not sent.

    `response_schema` names a JSON Schema file that is sent as a strict `response_format`; `extra_body` holds
    whatever a server understands beyond the standard parameters. `api` and `system_role` are how requests are sent.
    """

    temperature: float | Default = 0.0
    top_p: float | Default | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | Default | None = None
    max_tokens: Annotated[int, Field(ge=1)] | Default | None = None
    stop: str | list[str] | None = None
    seed: int | Default | None = None
    presence_penalty: float | Default | None = None
    frequency_penalty: float | Default | None = None
    logit_bias: dict[str, float] | Default | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    response_format: Literal["text", "json_object", "default"] | dict[str, Any] | None = None
    response_schema: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | Default | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    api: Literal["chat", "responses"] | None = None
    system_role: Literal["system", "developer", "user"] | None = None

    @field_validator("extra_body")
    @classmethod
    def _leave_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := {"model", "messages", "n", "stream"} & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be set here: the plugin sets it")
        return value


class AnswerSettings(Settings):
    """`[answer]`: which part of a text is the answer; the part up to the last `after` is reasoning."""

    after: str | None = Field(default=None, min_length=1)


class ModelSettings(Settings):
    """`[models."PATTERN"]`: settings for the models whose id matches."""

    request: RequestSettings = Field(default_factory=RequestSettings)
    answer: AnswerSettings = Field(default_factory=AnswerSettings)


class StabilitySettings(Settings):
    """`[stability]`: `repeats` requests per case, at the temperature of production."""

    repeats: int = Field(default=1, ge=1)
    temperature: float | None = Field(default=None, ge=0)


class _Gate(Settings):
    """What each kind of gate may say besides its own keys."""

    metric: str = "accuracy"
    where: dict[str, str | int | bool] = Field(default_factory=dict)
    per_case: str | None = None
    max_errors: int | None = Field(default=None, ge=0)

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
            raise _misfit(f"per_case says when a case passes, which {metric} does not count", "use it with accuracy")
        return value

    def _rule(self, kind: RuleKind, bar: float | None, max_errors: int | None) -> Rule:
        return Rule(kind, self.metric, bar, where=self.where, per_case=self.per_case or "", max_errors=max_errors)

    def _tolerated(self, max_errors: int) -> int:
        return max_errors if self.max_errors is None else self.max_errors


class _FieldGate(_Gate):
    """A gate that may be about one field of JSON answers."""

    field: str = ""

    @field_validator("field")
    @classmethod
    def _one_field(cls, value: str, info: ValidationInfo) -> str:
        if (metric := info.data.get("metric", "accuracy")) != "field_accuracy":
            raise _misfit(f"{metric} is not about a field", 'add metric = "field_accuracy"')
        if re.search(r"\[[0-9]+\]", path := normal_path(value)):
            raise _misfit(f"{value} is one item of a list, which not every case has", "write [*] for all items")
        return path

    def _rule(self, kind: RuleKind, bar: float | None, max_errors: int | None) -> Rule:
        return replace(super()._rule(kind, bar, max_errors), field=self.field)


class BarGate(_FieldGate):
    """The metric has to reach `min` or to stay within `max`."""

    min: float | None = None
    max: float | None = None
    confidence: float | None = Field(default=None, gt=0.5, lt=1)

    @field_validator("confidence")
    @classmethod
    def _has_an_interval(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and (metric := info.data.get("metric")) in LONG_TAILED:
            raise _misfit(f"{metric} has a long tail, and no interval of its mean is reliable", "leave confidence out")
        return value

    @model_validator(mode="after")
    def _one_reachable_bar(self) -> BarGate:
        if self.min is not None and self.max is not None:
            raise ValueError(f"{ONE_RULE}; found min and max")
        if self.metric in RATES and not 0 <= self.bar <= 1:
            raise ValueError(f"{self.metric} lies in [0, 1]; the bar {self.bar:g} cannot be met or missed")
        if self.max is not None and self.max <= 0 and self.metric not in RATES:
            raise _misfit(f"nothing stays within {self.metric} <= {self.max:g}", "use a bar above 0")
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
            # Errors are what is measured: the bar itself says how many are too many.
            tolerated = None
        else:
            # Under `max` a missing answer counts for the model: the slowest one has no latency, and a missed one keeps
            # accuracy low.
            tolerated = self._tolerated(max_errors) if self.max is None else 0
        rule = self._rule("min" if self.max is None else "max", self.bar, tolerated)
        return replace(rule, confidence=self.confidence)


class DropGate(_FieldGate):
    """The metric may be lower than the baseline's by at most `max_drop`."""

    against: str
    max_drop: float = Field(ge=0, lt=1)
    confidence: float | None = Field(default=None, gt=0.5, lt=1)

    @model_validator(mode="after")
    def _paired(self) -> DropGate:
        if self.metric not in (*CASE_MEANS, "macro_f1"):
            raise _misfit(f"a drop of {self.metric} cannot be judged by pairs of cases", "use max")
        if self.metric == "macro_f1" and self.confidence is not None:
            raise _misfit(f"a drop of {self.metric} has no paired interval", "leave confidence out")
        return self

    def rule(self, max_errors: int = 0) -> Rule:
        """The facts, in a set that tolerates `max_errors`."""
        rule = self._rule("max_drop", self.max_drop, self._tolerated(max_errors))
        return replace(rule, confidence=self.confidence, against=self.against)


class FlipsGate(_Gate):
    """At most `max_flips` cases that pass in the baseline may miss."""

    against: str
    max_flips: int = Field(ge=0)

    @field_validator("metric")
    @classmethod
    def _of_cases(cls, value: str) -> str:
        return _only_accuracy(value, "max_flips")

    def rule(self, max_errors: int = 0) -> Rule:
        """The facts, in a set that tolerates `max_errors`."""
        return replace(self._rule("max_flips", self.max_flips, self._tolerated(max_errors)), against=self.against)


class MustPassGate(_Gate):
    """Every case with one of the tags has to pass."""

    must_pass: list[str] = Field(min_length=1)

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


def _misfit(problem: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("misfit", "{problem}; {hint}", {"problem": problem, "hint": hint})


def _unread_max_errors(metric: str) -> PydanticCustomError:
    if metric == "error_rate":
        return _misfit("max_errors has no effect on a gate whose bar limits the errors", "leave max_errors out")
    return _misfit("a gate with max tolerates no errors, so max_errors has no effect", "leave max_errors out")


def _only_accuracy(metric: str, key: str) -> str:
    if metric != "accuracy":
        raise _misfit(f"{key} counts cases that pass, not {metric}", "leave metric out")
    return metric


class EvalSettings(Settings):
    """
    How the cases of one set are asked, scored and gated.

    Args:
        scorer: A built-in scorer (a module of `verdicts/scoring/scorers`), one of an installed package, or
            `package.module:function`.
        scorer_options: The keys of the table `[scorer]` that only this scorer knows; see `Scorer.options`.
        normalize: Applied in order to both sides before text is compared.
        labels: The allowed answers of the `label` scorer.
        json_schema: `schema = "FILE"`: a JSON Schema file beside the set.
        dialect: SQL dialect of the `sql` scorer, as sqlglot names it.
        scorer_files: Files that a function of the user's reads, relative to the set; part of the settings' hash.
        max_errors: Errors that a verdict tolerates; beyond, it is `incomplete`.
        models: Settings per model, by its id or a pattern of ids.
    """

    scorer: str = "exact"
    scorer_options: dict[str, Any] = Field(default_factory=dict)
    normalize: list[Normalizer] = ["strip"]
    labels: list[str] = Field(default_factory=list)
    json_schema: str | None = Field(default=None, alias="schema")
    dialect: str | None = None
    scorer_files: list[str] = Field(default_factory=list)
    max_errors: int = Field(default=0, ge=0)
    request: RequestSettings = Field(default_factory=RequestSettings)
    answer: AnswerSettings = Field(default_factory=AnswerSettings)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    stability: StabilitySettings = Field(default_factory=StabilitySettings)
    gates: list[GateSettings] = Field(default_factory=list)

    @property
    def schema_files(self) -> list[str]:
        """The JSON Schema files that the settings name."""
        requests = [self.request, *(each.request for each in self.models.values())]
        names = [self.json_schema, *(each.response_schema for each in requests)]
        return [name for name in names if name is not None]

    @property
    def rules(self) -> list[Rule]:
        """What the gates demand, in the order they were written."""
        return [gate.rule(self.max_errors) for gate in self.gates]

    @property
    def judged_by(self) -> list[Rule]:
        """The rules; where no gate is written, that of plain pytest: every case passes."""
        return self.rules or [BarGate(min=1.0).rule(self.max_errors)]

    @field_validator("scorer")
    @classmethod
    def _known_scorer(cls, name: str) -> str:
        if not is_known(name):
            known = (*built_in_scorers(), *installed_scorers(), "package.module:function")
            raise ValueError(f"unknown scorer {name!r}; {did_you_mean(name, known)}")
        return name

    @field_validator("gates")
    @classmethod
    def _distinct(cls, gates: list[GateSettings]) -> list[GateSettings]:
        labels = [gate.rule().label for gate in gates]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise ValueError(f"two gates are one test {min(twice)!r}; keep the stricter, or give them other bars")
        return gates
