"""The records of a registry: entries with their evidence, the hash-chained history, and the rollout settings."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from decimal import Decimal  # noqa: TC003 - as above
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_finetune.evaluation.runs.manifest import BaselineRecord, VerdictRecord  # noqa: TC001 - as above

FORMAT: Literal[1] = 1


class RegistryRecord(BaseModel):
    """Base of all records of a registry: frozen; an unknown field is an error."""

    # pydantic would write NaN as null by default; kept as a constant, it reaches `canonical_json`, which refuses it.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants", defer_build=True)


class VersionStatus(StrEnum):
    """The status of a version. At most one version is `production`."""

    CANDIDATE = "candidate"
    CANARY = "canary"
    PRODUCTION = "production"
    DEPRECATED = "deprecated"
    REJECTED = "rejected"


class TrainingFile(RegistryRecord):
    """A file of training or validation data, and its hash."""

    path: str
    sha256: str


class EvidenceSet(RegistryRecord):
    """
    One eval set of the evidence.

    Args:
        outcomes: Bit string in hex, one bit per planned sample in plan order (by case, then by attempt), 1 for passed.
            `cases_sha256` fixes the order, so that a later run can be paired with it.
        metrics: Value of each metric that is defined.
        counts: Number of planned samples by final state.
        calibrations: Of each judge by the name of its scorer, empty for the one that decides, how often people agreed
            with it when the evidence was stored: without the samples, its gates cannot be judged by another one.
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
    calibrations: dict[str, str] = Field(default_factory=dict)


class Evidence(RegistryRecord):
    """
    A closed run, condensed so that it can be judged after its directory is gone.

    `seal` is the seal of the run record and identifies it. `compared_with` holds the names of the baselines in evidence
    that was stored before `baselines` existed.
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
        base_url: Its server; empty for the one named by the environment.
        base_model: What it was fine-tuned from, such as `gpt-4o-mini-2024-07-18`; the version is shut down with it.
        shutdown_date: When it is shut down, if the server or a person has said so.
        validation_file: The data that its losses were measured on during training.
        trained_tokens: Tokens that its job was billed for; None if unknown.
        training_cost: US dollars for them; None if unknown.
        traffic: Share of users in [0, 1] that are sent to a canary.
        evidence: The run that the version was accepted on; None before that.
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
    status: VersionStatus = VersionStatus.CANDIDATE
    traffic: float = Field(default=0.0, ge=0, le=1)
    evidence: Evidence | None = None


class Event(RegistryRecord):
    """
    One event of the history.

    `hash` is the SHA-256 of all other fields as canonical JSON. One of them is `previous`, the hash of the event
    before, so that no event can be changed or removed undetected. `entry_sha256` is the hash of the entry after it.
    """

    seq: int = Field(ge=1)
    at: datetime
    who: str
    action: str
    version: str
    before: VersionStatus | None = None
    after: VersionStatus | None = None
    why: str = ""
    forced: bool = False
    entry_sha256: str = ""
    previous: str = ""
    hash: str = ""


class Rollout(RegistryRecord):
    """
    How the router distributes traffic.

    Args:
        salt: Salt for hashing user ids; changing it reassigns every user.
        fallback: Version that takes over if production exceeds its error budget.
        error_budget: Tolerated share of failed calls of production in the window, in [0, 1].
        window: Length of the window of the error rate in seconds.
    """

    salt: str = "pytest-finetune"
    fallback: str = ""
    error_budget: float = Field(default=0.1, ge=0, le=1)
    window: float = Field(default=300.0, gt=0)


class Registry(RegistryRecord):
    """
    The content of `registry.json`.

    `seq` is the number of the last event. A writer that decided on another `seq` is refused.
    """

    format: Literal[1] = FORMAT
    seq: int = 0
    entries: dict[str, Entry] = Field(default_factory=dict)
    rollout: Rollout = Field(default_factory=Rollout)
    history: tuple[Event, ...] = ()
