"""What a job has made becomes a version in the registry, once, with all that is known of how it was made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry import Change, Entry, TrainingFile
from pytest_finetune.lifecycle.training.job import TRAINING_SHA256, VALIDATION_SHA256
from pytest_finetune.lifecycle.training.money import job_cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.lifecycle.registry import Backend
    from pytest_finetune.lifecycle.training.job import Job
    from pytest_finetune.lifecycle.training.record import FileRecord, JobRecord

_NUMBERED = re.compile(r"v([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Added:
    """Where a model stands in the registry: under which version, and whether that is new."""

    version: str
    is_new: bool


def entry_of(job: Job, record: JobRecord, metrics: Mapping[str, float], *, model: str = "") -> Entry:
    """
    The entry of a job that succeeded.

    Args:
        job: As the server describes it.
        record: What was asked for here.
        metrics: Its last losses, or whatever else was measured.
        model: One of its checkpoints, in place of what came of it in the end.
    """
    wanted = record.wanted
    used = {name: value for name, value in job.hyperparameters.items() if value != "auto"}
    if job.seed is not None:
        used["seed"] = job.seed
    return Entry(
        model_id=model or job.fine_tuned_model,
        base_url=record.base_url,
        base_model=job.model,
        job_id=job.id,
        training_file=_file(
            wanted.training if wanted else None, job.training_file, job.metadata.get(TRAINING_SHA256, "")
        ),
        validation_file=_file(
            wanted.validation if wanted else None, job.validation_file, job.metadata.get(VALIDATION_SHA256, "")
        ),
        hyperparameters=used,
        metrics=dict(metrics),
        trained_tokens=job.trained_tokens,
        training_cost=job_cost(record.base_url, job),
        created_at=job.finished_at or datetime.now(UTC),
    )


def add_candidate(backend: Backend, entry: Entry, *, version: str = "", who: str, now: datetime) -> Added:
    """
    Add a version as a candidate; one that is there already, under whatever name, is not added again.

    Args:
        backend: The registry.
        entry: The version.
        version: Its name; without one, the next of v1, v2, …
        who: Who adds it, for the history.
        now: The time that the history notes, with its zone.

    Raises:
        RegistryError: The name is another model's, or another writer was faster.
    """
    registry = backend.read()
    for name, other in registry.entries.items():
        if (other.model_id, other.base_url, other.job_id) == (entry.model_id, entry.base_url, entry.job_id):
            return Added(name, is_new=False)
    if version in registry.entries:
        problem = f"{version} is {registry.entries[version].model_id} already, and a version never changes"
        hint = f"nothing is lost: pytest-finetune train watch {entry.job_id} --version {next_version(registry.entries)}"
        raise RegistryError(problem, backend.location, hint)
    name = version or next_version(registry.entries)
    change = Change("add", name, who, f"made by job {entry.job_id}", entry=entry)
    backend.update(change, now=now, expected_seq=registry.seq)
    return Added(name, is_new=True)


def next_version(versions: Iterable[str]) -> str:
    """The first of v1, v2, … after all that are taken."""
    taken = [int(found[1]) for version in versions if (found := _NUMBERED.fullmatch(version))]
    return f"v{max(taken, default=0) + 1}"


def _file(known: FileRecord | None, file_id: str, sha256: str) -> TrainingFile | None:
    """A file as it lay here; of a job begun elsewhere, its id and the hash that its metadata tells."""
    if known is not None:
        return TrainingFile(path=known.path, sha256=known.sha256)
    return TrainingFile(path=file_id, sha256=sha256) if file_id else None
