"""The TOML beside an eval set: strict, so that a misspelt key is an error and never a gate that is not there."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers, installed_scorers, is_known

Normalizer = Literal["strip", "casefold", "nfkc", "collapse_whitespace", "strip_punctuation"]

METRICS = (
    "accuracy",
    "macro_f1",
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

RATES = METRICS[:7]
"""The metrics that lie in [0, 1]."""


class Settings(BaseModel):
    """Base of all settings read from people: frozen, and no key goes unread."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RequestSettings(Settings):
    """
    `[request]`: what goes into every request body beside model and messages.

    `response_schema` names a JSON Schema file that is sent as a strict `response_format`; `extra_body` holds
    whatever a server understands beyond the standard parameters.
    """

    temperature: float = 0.0
    top_p: float | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    response_format: Literal["text", "json_object"] | dict[str, Any] | None = None
    response_schema: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)

    @field_validator("extra_body")
    @classmethod
    def _leave_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := {"model", "messages", "n", "stream"} & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be set here: the plugin decides it")
        return value


class StabilitySettings(Settings):
    """`[stability]`: ask every case `repeats` times, at the temperature that production samples with."""

    repeats: int = Field(default=1, ge=1)
    temperature: float | None = Field(default=None, ge=0)


class GateSettings(Settings):
    """
    `[[gates]]`: one rule over a run.

    A gate has a bar (`min` or `max`) or compares with a baseline (`against` with `max_drop` or `max_flips`), or
    names tags whose cases `must_pass`.
    """

    metric: str = "accuracy"
    min: float | None = None
    max: float | None = None
    confidence: float | None = Field(default=None, gt=0.5, lt=1)
    where: dict[str, str | int | bool] = Field(default_factory=dict)
    per_case: str | None = None
    max_errors: int | None = Field(default=None, ge=0)
    against: str | None = None
    max_drop: float | None = Field(default=None, ge=0, lt=1)
    max_flips: int | None = Field(default=None, ge=0)
    must_pass: list[str] = Field(default_factory=list)

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            raise ValueError(f"unknown metric {value!r}; {did_you_mean(value, METRICS)}")
        return value

    @field_validator("per_case")
    @classmethod
    def _of(cls, value: str | None) -> str | None:
        if value is not None:
            match = re.fullmatch(r"([0-9]+) of ([0-9]+)", value)
            if not match or not 1 <= int(match[1]) <= int(match[2]):
                raise ValueError(f"{value!r} is not of the form '3 of 5'")
        return value

    @model_validator(mode="after")
    def _one_rule(self) -> GateSettings:
        rules = [name for name in ("min", "max", "max_drop", "max_flips") if getattr(self, name) is not None] + (
            ["must_pass"] if self.must_pass else []
        )
        if len(rules) != 1:
            found = " and ".join(rules) or "none"
            raise ValueError(f"a gate has exactly one of min, max, max_drop, max_flips, must_pass; found {found}")
        if (self.against is None) != (rules[0] not in ("max_drop", "max_flips")):
            raise ValueError("against goes with max_drop or max_flips, and they with it")
        bar = self.min if self.min is not None else self.max
        if bar is not None and self.metric in RATES and not 0 <= bar <= 1:
            raise ValueError(f"{self.metric} lies in [0, 1]; the bar {bar:g} cannot be met or missed")
        return self

    @property
    def label(self) -> str:
        """The gate's name in node ids and tables: `accuracy>=0.95,tag=critical`."""
        if self.must_pass:
            rule = f"must_pass={'+'.join(self.must_pass)}"
        elif self.min is not None:
            rule = f"{self.metric}>={_as_written(self.min)}"
        elif self.max is not None:
            rule = f"{self.metric}<={_as_written(self.max)}"
        elif self.max_drop is not None:
            rule = f"{self.metric}_drop<={_as_written(self.max_drop)},vs={self.against}"
        else:
            rule = f"flips<={self.max_flips},vs={self.against}"
        slices = [f"{key}={value}" for key, value in self.where.items()]
        return ",".join([rule, *slices, *([f"per_case={self.per_case}"] if self.per_case else [])])


def _as_written(bar: float) -> str:
    return repr(bar).removesuffix(".0")


class EvalSettings(Settings):
    """
    How the cases of one set are asked, scored and gated.

    Args:
        scorer: A built-in scorer (`exact`, `label`, `json`, `schema`, `tool_call`, `sql`, `regex`, `contains`), one
            of an installed package, or `package.module:function`.
        normalize: Applied in order to both sides before text is compared.
        labels: The allowed answers of the `label` scorer.
        json_schema: `schema = "FILE"`: a JSON Schema file beside the set.
        dialect: SQL dialect of the `sql` scorer, as sqlglot names it.
        max_errors: Errors that a verdict tolerates; beyond, it is `incomplete`.
    """

    scorer: str = "exact"
    normalize: list[Normalizer] = ["strip"]
    labels: list[str] = Field(default_factory=list)
    json_schema: str | None = Field(default=None, alias="schema")
    dialect: str | None = None
    max_errors: int = Field(default=0, ge=0)
    request: RequestSettings = Field(default_factory=RequestSettings)
    stability: StabilitySettings = Field(default_factory=StabilitySettings)
    gates: list[GateSettings] = Field(default_factory=list)

    @property
    def judged_by(self) -> list[GateSettings]:
        """The gates; where none is written, the rule of plain pytest, that every case must pass."""
        return self.gates or [_EVERY_CASE]

    @field_validator("scorer")
    @classmethod
    def _known_scorer(cls, name: str) -> str:
        if not is_known(name):
            known = (*built_in_scorers(), *installed_scorers(), "package.module:function")
            raise ValueError(f"unknown scorer {name!r}; {did_you_mean(name, known)}")
        return name

    @field_validator("gates")
    @classmethod
    def _told_apart(cls, gates: list[GateSettings]) -> list[GateSettings]:
        labels = [gate.label for gate in gates]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise ValueError(f"two gates are one test {min(twice)!r}; keep the stricter, or give them other bars")
        return gates


_EVERY_CASE = GateSettings(min=1.0)
