"""Settings of an eval set; an unknown key is an error, so that a misspelt gate cannot go unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.verdicts.evalset.gate_settings import BarGate, GateSettings, family_faults
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers, installed_scorers, is_known_scorer
from pytest_finetune.verdicts.evalset.settings_base import Settings, misfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.verdicts.rule import Rule

Normalizer = Literal["strip", "casefold", "nfkc", "collapse_whitespace", "strip_punctuation"]

Default = Literal["default"]
"""The value of a parameter that is not sent, so that the server uses its own."""


class RequestSettings(Settings):
    """
    `[request]`: parameters of every request besides model and messages; one that is `"default"` is not sent.

    `response_schema` names a JSON Schema file that is sent as a strict `response_format`; `extra_body` holds
    whatever a server understands beyond the standard parameters. `api` and `system_role` are how requests are sent.
    """

    temperature: float | Default = Field(default=0.0, description="0 by default: the most likely answer")
    top_p: float | Default | None = Field(default=None, description="nucleus sampling, in (0, 1]")
    max_completion_tokens: Annotated[int, Field(ge=1)] | Default | None = Field(
        default=None, description="limit of the answer in tokens, reasoning included"
    )
    max_tokens: Annotated[int, Field(ge=1)] | Default | None = Field(
        default=None, description="the same limit under its older name, for servers that know only that"
    )
    stop: str | list[str] | None = Field(default=None, description="texts at which the answer ends")
    seed: int | Default | None = Field(default=None, description="for servers that sample with a seed")
    presence_penalty: float | Default | None = Field(default=None, description="as in the API")
    frequency_penalty: float | Default | None = Field(default=None, description="as in the API")
    logit_bias: dict[str, float] | Default | None = Field(default=None, description="token id to bias, as in the API")
    logprobs: bool | Default | None = Field(
        default=None, description="keep the log probabilities of the answers, for ece and accuracy_at_coverage"
    )
    reasoning_effort: str | None = Field(
        default=None, description="for reasoning models: none, minimal, low, medium or high"
    )
    verbosity: str | None = Field(default=None, description="for models that have it: low, medium or high")
    service_tier: str | None = Field(default=None, description="as in the API; it changes the price")
    response_format: Literal["text", "json_object", "default"] | dict[str, Any] | None = Field(
        default=None, description="text, json_object, or the table as in the API"
    )
    response_schema: str | None = Field(
        default=None, description="JSON Schema file next to the set, sent as a strict response format"
    )
    tools: list[dict[str, Any]] | None = Field(default=None, description="tools of lines that have none of their own")
    tool_choice: str | dict[str, Any] | None = Field(default=None, description="as in the API")
    parallel_tool_calls: bool | Default | None = Field(default=None, description="as in the API")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="whatever else the server understands")
    api: Literal["chat", "responses"] | None = Field(
        default=None, description="the API for requests; by default it depends on the model"
    )
    system_role: Literal["system", "developer", "user"] | None = Field(
        default=None, description="the role under which system prompts are sent"
    )

    @field_validator("extra_body")
    @classmethod
    def _leave_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := {"model", "messages", "n", "stream"} & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be set here: the plugin sets it")
        return value


class AnswerSettings(Settings):
    """`[answer]`: which part of a text is the answer; the part up to the last `after` is reasoning."""

    after: str | None = Field(
        default=None, min_length=1, description='the answer is what follows the last of this text: "</think>"'
    )


class ModelSettings(Settings):
    """`[models."PATTERN"]`: settings for the models whose id matches."""

    request: RequestSettings = Field(default_factory=RequestSettings)
    answer: AnswerSettings = Field(default_factory=AnswerSettings)


class StabilitySettings(Settings):
    """`[stability]`: `repeats` requests per case, at the temperature of production."""

    repeats: int = Field(default=1, ge=1, description="requests per case")
    temperature: float | None = Field(
        default=None, ge=0, description="temperature of the repeats; that of production measures its stability"
    )


class _ScorerKeys(Settings):
    """Settings that several scorers read: at the top of the file, in `[scorer]`, or in a table of `[[scorers]]`."""

    normalize: list[Normalizer] = Field(
        default=["strip"], description="differences between texts to ignore, applied in order to both"
    )
    labels: list[str] = Field(default_factory=list, description="the allowed answers of the scorer label")
    json_schema: str | None = Field(
        default=None, alias="schema", description="JSON Schema file next to the set that answers must satisfy"
    )
    dialect: str | None = Field(default=None, description="SQL dialect, as sqlglot names it: postgres, sqlite, …")
    scorer_files: list[str] = Field(
        default_factory=list, description="files that a scoring function of your own reads, relative to the set"
    )


class ScorerSettings(_ScorerKeys):
    """
    A table of `[[scorers]]`; its other keys are options that `Scorer.options` checks.

    Args:
        type: The scorer, as `scorer` names it.
        name: Its name in gates and reports; its type if it has none.
        decides: Its score says whether an answer passed.
        expected: Key in the metadata of each line: what this scorer compares answers with.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    name: str = Field(
        default="", pattern=r"^[\w.:/ -]*$", description="its name in gates and reports; by default its type"
    )
    decides: bool = Field(
        default=False, description="its score says whether an answer passed; by default that of the first table does"
    )
    expected: str = Field(
        default="", description="key in the metadata of each line: what this scorer compares answers with"
    )

    @property
    def title(self) -> str:
        """Its name, or else its type."""
        return self.name or self.type

    @field_validator("type")
    @classmethod
    def _known_scorer(cls, name: str) -> str:
        return _known_scorer(name)


class EvalSettings(_ScorerKeys):
    """
    How the cases of one set are asked, scored and gated.

    Args:
        scorer: A built-in scorer (a module of `verdicts/scoring/scorers`), one of an installed package, or
            `package.module:function`. With `[[scorers]]`, the one that decides whether an answer passed.
        scorer_options: The keys of the table `[scorer]` that only this scorer knows; see `Scorer.options`.
        normalize: Applied in order to both sides before text is compared.
        labels: The allowed answers of the `label` scorer.
        json_schema: `schema = "FILE"`: a JSON Schema file next to the set.
        dialect: SQL dialect of the `sql` scorer, as sqlglot names it.
        scorer_files: Files that a function of the user's reads, relative to the set; part of the settings' hash.
        max_errors: Errors that a verdict tolerates; beyond, it is `incomplete`.
        models: Settings per model, by its id or a pattern of ids.
        scorers: `[[scorers]]`, if the answers are scored in several ways; empty for one scorer.
    """

    scorer: str = "exact"
    scorer_options: dict[str, Any] = Field(default_factory=dict)
    max_errors: int = Field(
        default=0, ge=0, description="samples without an answer that a verdict tolerates; beyond, it is incomplete"
    )
    request: RequestSettings = Field(default_factory=RequestSettings)
    answer: AnswerSettings = Field(default_factory=AnswerSettings)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    stability: StabilitySettings = Field(default_factory=StabilitySettings)
    gates: list[GateSettings] = Field(default_factory=list)
    scorers: list[ScorerSettings] = Field(default_factory=list)

    @property
    def decider(self) -> ScorerSettings | None:
        """The table of `[[scorers]]` that decides whether an answer passed: the first if none says that it does."""
        return next((each for each in self.scorers if each.decides), self.scorers[0] if self.scorers else None)

    @property
    def others(self) -> dict[str, ScorerSettings]:
        """The tables of `[[scorers]]` that do not decide, by name."""
        return {each.title: each for each in self.scorers if each is not self.decider}

    def settled(self) -> EvalSettings:
        """The settings with those of the deciding scorer at the top, and no scorer in the gates on it."""
        if (decider := self.decider) is None:
            return self
        gates = [
            gate.model_copy(update={"scorer": ""}) if gate.scorer == decider.title else gate for gate in self.gates
        ]
        return self._only(decider).model_copy(update={"scorers": self.scorers, "gates": gates})

    def only(self, scorer: str = "") -> EvalSettings:
        """
        The settings as they would be if the set had only one of its scorers; without a name, the deciding one.

        Raises:
            KeyError: It has no other scorer of this name.
        """
        table = self.others[scorer] if scorer else self.decider
        return self if table is None else self._only(table)

    def _only(self, table: ScorerSettings) -> EvalSettings:
        name = "" if table is self.decider else table.title
        kept = (
            self.model_fields_set - {"scorer", "scorer_options", "scorers", "gates"} - _ScorerKeys.model_fields.keys()
        )
        own = table.model_dump(by_alias=True, exclude_unset=True, include=set(_ScorerKeys.model_fields))
        gates = [gate.model_copy(update={"scorer": ""}) for gate in self.gates if gate.scorer in (name, table.title)]
        return EvalSettings.model_validate(
            {
                **{key: getattr(self, key) for key in kept},
                **own,
                "scorer": table.type,
                "scorer_options": table.model_extra or {},
                "gates": gates,
            }
        )

    def each_scorer(self) -> Iterator[tuple[tuple[str | int, ...], str, EvalSettings]]:
        """The path to each scorer's table, its name (empty for the deciding one) and its settings; see `only`."""
        if not self.scorers:
            yield ("scorer",), "", self
        for index, table in enumerate(self.scorers):
            yield ("scorers", index), "" if table is self.decider else table.title, self._only(table)

    @property
    def schema_files(self) -> list[str]:
        """The JSON Schema files that the settings name."""
        requests = [self.request, *(each.request for each in self.models.values())]
        schemas = [each.json_schema for each in self.scorers] or [self.json_schema]
        names = [*schemas, *(each.response_schema for each in requests)]
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
        return _known_scorer(name)

    @field_validator("gates")
    @classmethod
    def _distinct(cls, gates: list[GateSettings]) -> list[GateSettings]:
        labels = [gate.rule().label for gate in gates]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise ValueError(f"two gates are one test {min(twice)!r}; keep the stricter, or give them other bars")
        return gates

    @field_validator("gates")
    @classmethod
    def _whole_families(cls, gates: list[GateSettings]) -> list[GateSettings]:
        for problem, hint in family_faults([gate.rule() for gate in gates]):
            raise misfit(problem, hint)
        return gates


def _known_scorer(name: str) -> str:
    if not is_known_scorer(name):
        known = (*built_in_scorers(), *installed_scorers(), "package.module:function")
        raise ValueError(f"unknown scorer {name!r}; {did_you_mean(name, known)}")
    return name
