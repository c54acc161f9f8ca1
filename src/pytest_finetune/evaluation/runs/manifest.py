"""`manifest.json`: the model, the plan, the versions and the results of a run."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from decimal import Decimal  # noqa: TC003 - as above
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_finetune.base.model_ids import model_title
from pytest_finetune.base.records import Failure
from pytest_finetune.verdicts.rule import Rule  # noqa: TC001 - pydantic reads the annotations
from pytest_finetune.verdicts.stopping import Stopping  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMAT: Literal[1] = 1


class Record(BaseModel):
    """Base of all parts of a manifest: frozen, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class TargetInfo(Record):
    """The model: its spec, its id in requests, the server, never with credentials, and its version in the registry."""

    spec: str
    model: str
    base_url: str = ""
    identity: str = ""
    version: str = ""

    @property
    def title(self) -> str:
        """The name of the model in reports."""
        return model_title(self.spec, self.model, self.version)


class EvalSetPlan(Record):
    """
    One eval set of the plan, with the hashes that make its evidence comparable.

    Args:
        request: The parameters of all requests to the model, and the API if it is not chat completions; long values
            are hashes. Empty in records that an earlier version wrote.
        request_notes: What was left out, renamed or chosen for the model.
        judge: The model that the deciding scorer asks; None if it asks none.
        asked: The models that other scorers ask, by the name of the scorer.
        opponent_sha256: Hash of the baseline's answers that the scorer compares with; empty if it compares with none.
    """

    name: str
    cases: int
    repeats: int
    max_errors: int = 0
    cases_sha256: str
    settings_sha256: str
    schema_sha256: str = ""
    request: dict[str, Any] = Field(default_factory=dict)
    request_notes: tuple[str, ...] = ()
    judge: TargetInfo | None = None
    asked: dict[str, TargetInfo] = Field(default_factory=dict)
    opponent_sha256: str = ""


class VerdictRecord(Record):
    """
    One gate's verdict when the run ended.

    Args:
        gate: The gate's label, for people: `accuracy>=0.95,tag=critical`.
        low, high: Ends of the interval; None if there is none, or the end is unbounded.
        planned: Cases of the gate's slice.
        rule: What the gate demands; None in records that an earlier version wrote.
        baseline: Name of the baseline; empty without one, and in records that an earlier version wrote.
        corrected: The value is corrected for the errors of a judge.
        stopping: When a sequential gate was decided; None for others.
    """

    eval_set: str
    gate: str
    status: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    planned: int = 0
    message: str = ""
    rule: Rule | None = None
    baseline: str = ""
    corrected: bool = False
    stopping: Stopping | None = None


class BaselineRecord(Record):
    """
    The baseline of a gate.

    Args:
        name: Its name in the session: `production`, `registry:production`, `replay:RUN`, a model id.
        model: Its id in requests.
        base_url, identity: As in `TargetInfo`.
        run: Id of the run with its answers; empty if there is none.
        doubt: Why the answers are not evidence for that model, in one clause; empty if they are.
        answered_by: The names that the server answered under; empty in records that an earlier version wrote.
    """

    name: str
    model: str
    base_url: str = ""
    identity: str = ""
    run: str = ""
    doubt: str = ""
    answered_by: tuple[str, ...] = ()


class SentBatch(Record):
    """
    A batch of requests, written down before it is sent, so that it is sent once and can be collected another day.

    Args:
        nonce: Part of the id of each of its requests; sent as metadata of the batch, by which it is found again.
        api: The API of its requests.
        requests: Number of requests.
        file: Name of the file with its requests, in the folder of the run; removed once it is collected.
        file_id: Id of the uploaded file; empty before.
        batch_id: Id of the batch; empty as long as it is not known to exist.
        collected: Its answers, and its errors, are samples of the run.
    """

    nonce: str
    api: Literal["chat", "responses"]
    requests: int
    file: str
    file_id: str = ""
    batch_id: str = ""
    collected: bool = False


class Totals(Record):
    """Counts over the whole plan; cost in US dollars, None when a price is unknown."""

    planned: int = 0
    passed: int = 0
    missed: int = 0
    error: int = 0
    unrun: int = 0
    unneeded: int = 0
    from_cache: int = 0
    cost: Decimal | None = None


class Versions(Record):
    """The versions that made the run."""

    pytest_finetune: str
    python: str
    git_commit: str = ""
    git_dirty: bool = False


class Manifest(Record):
    """
    The whole of `manifest.json`.

    Args:
        stopped, stopped_kind, stopped_status: Why the evaluation stopped early: message, kind and HTTP status of the
            `Failure`; empty if it did not. Earlier versions wrote the message alone.
        answered_by: Every model name that the server answered under.
        baselines: The baselines of its gates.
        compared_with: Model ids of the baselines, in records older than `baselines`; no longer written.
        limited: Only a sample of the cases was requested, as a first look; such a run is not `last` while it is open.
        shard: The share of the cases that was requested, `3/16`; empty for all of them.
        unneeded_by_set: By eval set, samples that were not requested because the verdicts were decided without them;
            missing in records that an earlier version wrote.
        warnings: Probable mistakes in its eval sets, and what the target warned of.
        batches: The batches that its requests were sent in; empty if they were sent one by one.
        samples_bytes, samples_sha256: Length and hash of `samples.jsonl` when the run closed; anything after that
            length is not part of the run. None and empty while it is open.
        seal: Hash of all other fields; see `runs.seal`.
    """

    format: Literal[1] = FORMAT
    id: str
    target: TargetInfo
    eval_sets: tuple[EvalSetPlan, ...]
    plan_sha256: str
    created_at: datetime
    versions: Versions
    closed: bool = False
    closed_at: datetime | None = None
    stopped: str = ""
    stopped_kind: str = ""
    stopped_status: int | None = None
    answered_by: tuple[str, ...] = ()
    baselines: tuple[BaselineRecord, ...] = ()
    compared_with: tuple[str, ...] = ()
    verdicts: tuple[VerdictRecord, ...] = ()
    totals: Totals = Field(default_factory=Totals)
    limited: bool = False
    shard: str = ""
    unneeded_by_set: dict[str, int] = {}
    warnings: tuple[str, ...] = ()
    batches: tuple[SentBatch, ...] = ()
    samples_bytes: int | None = None
    samples_sha256: str = ""
    seal: str = ""

    @property
    def stop(self) -> Failure | None:
        """Why the evaluation stopped early; None if it did not."""
        if not self.stopped:
            return None
        return Failure(self.stopped_kind, self.stopped, self.stopped_status, fatal=True)


def plan_sha256(target: TargetInfo, eval_sets: Sequence[EvalSetPlan]) -> str:
    """
    Hash of the plan: the target and, per eval set, its cases, repeats and settings. Order does not matter.

    It includes the plugin's version: another version may score differently, and a run must be scored in one way.
    """
    sets = sorted((plan.model_dump(mode="json") for plan in eval_sets), key=lambda plan: str(plan["name"]))
    # The model's id is in it already; a version has only one.
    plan = [target.model_dump(exclude={"version"}), sets, version("pytest-finetune")]
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def current_versions(folder: Path) -> Versions:
    """The current versions, with the git commit of `folder` if it is in a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    return Versions(
        pytest_finetune=version("pytest-finetune"),
        python=platform.python_version(),
        git_commit=commit,
        git_dirty=bool(commit and _git(folder, "status", "--porcelain", "--untracked-files=no")),
    )


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
