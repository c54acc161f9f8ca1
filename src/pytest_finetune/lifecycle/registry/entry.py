"""What a registry holds: entries with the evidence behind their status, a chained history, how traffic is shared."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from decimal import Decimal  # noqa: TC003 - as above
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_finetune.evaluation.runs.manifest import BaselineRecord, VerdictRecord  # noqa: TC001 - as above

FORMAT: Literal[1] = 1


class RegistryRecord(BaseModel):
    """Base of everything in a registry: frozen, and a misspelt field is an error."""

    # Not-a-number must reach the writer, who refuses it, and not turn into null on its way.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Status(StrEnum):
    """Where a version stands. At most one is `production`."""

    CANDIDATE = "candidate"
    CANARY = "canary"
    PRODUCTION = "production"
    DEPRECATED = "deprecated"
    REJECTED = "rejected"


class TrainingFile(RegistryRecord):
    """The data that a version was trained on."""

    path: str
    sha256: str


class EvidenceSet(RegistryRecord):
    """
    One eval set of the evidence.

    Args:
        outcomes: Hex digits of a bit string, one bit a planned sample in plan order (case by case, attempts within a
            case), 1 for passed. `cases_sha256` fixes the order, so that a later run can be paired with it.
        metrics: Value of each metric that had one.
        counts: Planned samples by how they ended.
    """

    name: str
    cases: int
    repeats: int
    cases_sha256: str
    settings_sha256: str
    schema_sha256: str = ""
    outcomes: str = ""
    verdicts: tuple[VerdictRecord, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)


class Evidence(RegistryRecord):
    """
    A closed run, condensed so that it can be judged after its directory is gone.

    `seal` is that of its record, which tells the very record again where somebody kept it; `compared_with` is what
    evidence said that was kept before `baselines` was.
    """

    run_id: str
    spec: str
    model_id: str
    base_url: str = ""
    identity: str = ""
    answered_by: tuple[str, ...] = ()
    closed_at: datetime
    pytest_finetune: str
    git_commit: str = ""
    git_dirty: bool = False
    seal: str = ""
    baselines: tuple[BaselineRecord, ...] = ()
    compared_with: tuple[str, ...] = ()
    eval_sets: tuple[EvidenceSet, ...]


class Entry(RegistryRecord):
    """
    One model version.

    Args:
        model_id: The id on the wire, or a `local:` spec.
        base_url: Its server; empty for the one of the environment.
        base_model: What it was tuned from, `gpt-4o-mini-2024-07-18`; its end is the version's end.
        shutdown_date: When it will be, or was, switched off, where the server or a person said so.
        validation_file: The data that its losses were measured on meanwhile.
        trained_tokens: Tokens that its job was billed for; None where nobody has told.
        training_cost: US dollars for them; None where that is unknown.
        traffic: Share of users in [0, 1] that a canary gets.
        evidence: The run that earned the status; None while there is none.
    """

    model_id: str
    base_url: str = ""
    base_model: str = ""
    job_id: str = ""
    training_file: TrainingFile | None = None
    validation_file: TrainingFile | None = None
    trained_tokens: int | None = None
    training_cost: Decimal | None = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    created_at: datetime
    shutdown_date: datetime | None = None
    status: Status = Status.CANDIDATE
    traffic: float = Field(default=0.0, ge=0, le=1)
    evidence: Evidence | None = None


class Event(RegistryRecord):
    """
    One step of the history.

    `hash` is the SHA-256 of the event without it, `previous` among its fields, as canonical JSON: a chain in which no
    step can be changed or taken out unseen. `entry_sha256` is the hash of the entry as the event left it.
    """

    seq: int = Field(ge=1)
    at: datetime
    who: str
    action: str
    version: str
    before: Status | None = None
    after: Status | None = None
    why: str = ""
    forced: bool = False
    entry_sha256: str = ""
    previous: str = ""
    hash: str = ""


class Rollout(RegistryRecord):
    """
    How the router shares traffic out.

    Args:
        salt: Mixed into the hash of user ids; changing it deals everybody anew.
        fallback: Version that takes over when the production model exceeds its error budget.
        error_budget: Share of failed calls in the window that production may have, in [0, 1].
        window: Seconds that the error rate looks back.
    """

    salt: str = "pytest-finetune"
    fallback: str = ""
    error_budget: float = Field(default=0.1, ge=0, le=1)
    window: float = Field(default=300.0, gt=0)


class Registry(RegistryRecord):
    """
    The whole of `registry.json`.

    `seq` is the number of the last event; a writer that read another one has lost the race.
    """

    format: Literal[1] = FORMAT
    seq: int = 0
    entries: dict[str, Entry] = Field(default_factory=dict)
    rollout: Rollout = Field(default_factory=Rollout)
    history: tuple[Event, ...] = ()
