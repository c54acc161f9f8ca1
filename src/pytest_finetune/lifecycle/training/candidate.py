"""Add the model of a job to the registry as a candidate, once, with its training data, settings and cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.evaluation.configured_prices import NO_PRICES
from pytest_finetune.lifecycle.registry import Change, Entry, TrainingFile
from pytest_finetune.lifecycle.training.job import TRAINING_SHA256, VALIDATION_SHA256
from pytest_finetune.lifecycle.training.money import TrainingPrices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.evaluation.configured_prices import ConfiguredPrices
    from pytest_finetune.lifecycle.registry import Backend
    from pytest_finetune.lifecycle.training.job import FineTuningJob
    from pytest_finetune.lifecycle.training.job_records import JobFile, JobRecord

_NUMBERED = re.compile(r"v([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AddedVersion:
    """The version of a model in the registry, and whether it was added just now."""

    version: str
    is_new: bool


def entry_of(
    job: FineTuningJob,
    record: JobRecord,
    metrics: Mapping[str, float],
    *,
    model: str = "",
    prices: ConfiguredPrices = NO_PRICES,
) -> Entry:
    """
    The registry entry for a job that succeeded.

    Args:
        job: The job as the server describes it.
        record: The local record of the job.
        metrics: Its last losses, or other measured values.
        model: A checkpoint of the job, instead of its final model.
        prices: What the project configures.
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
        training_cost=TrainingPrices(record.base_url, prices).job_cost(job),
        created_at=job.finished_at or datetime.now(UTC),
    )


def add_candidate(backend: Backend, entry: Entry, *, version: str = "", who: str, now: datetime) -> AddedVersion:
    """
    Add a version as a candidate, unless the registry has the same model under any version name.

    Args:
        backend: The registry.
        entry: The version.
        version: Version name; by default the next of v1, v2, …
        who: Author of the addition, for the history.
        now: Time of the addition, with its time zone.

    Raises:
        RegistryError: The name belongs to another model, or the registry changed meanwhile.
    """
    registry = backend.read()
    for name, other in registry.entries.items():
        if (other.model_id, other.base_url, other.job_id) == (entry.model_id, entry.base_url, entry.job_id):
            return AddedVersion(name, is_new=False)
    if version in registry.entries:
        problem = f"{version} is already {registry.entries[version].model_id}, and a version cannot be replaced"
        free = next_version(registry.entries)
        hint = f"choose another name: pytest-finetune train watch {entry.job_id} --version {free}"
        raise RegistryError(problem, backend.location, hint)
    name = version or next_version(registry.entries)
    change = Change("add", name, who, f"made by job {entry.job_id}", entry=entry)
    backend.update(change, now=now, expected_seq=registry.seq)
    return AddedVersion(name, is_new=True)


def next_version(versions: Iterable[str]) -> str:
    """The first of v1, v2, … after all those in use."""
    taken = [int(found[1]) for version in versions if (found := _NUMBERED.fullmatch(version))]
    return f"v{max(taken, default=0) + 1}"


def _file(known: JobFile | None, file_id: str, sha256: str) -> TrainingFile | None:
    """The file by path and hash; for a job that was not started here, by its id and the hash in its metadata."""
    if known is not None:
        return TrainingFile(path=known.path, sha256=known.sha256)
    return TrainingFile(path=file_id, sha256=sha256) if file_id else None
