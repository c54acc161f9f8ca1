"""The local record of each job, in `.finetune/jobs`; written before the job is created, so that no job is lost."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.base.files import write_file
from pytest_finetune.lifecycle.data.writing import new_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT: Literal[1] = 1
REFUSED = "refused"
"""Status of a record whose job the server refused to create."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JobFile(_Record):
    """A training or validation file; `file_id` is empty until it is uploaded."""

    path: str
    bytes: int
    sha256: str
    file_id: str = ""


class CheckpointRecord(_Record):
    """A checkpoint of the job."""

    model: str
    step: int
    metrics: dict[str, float] = Field(default_factory=dict)


class TrainingRequest(_Record):
    """
    A training that the user asked for. Two requests that differ only in file paths are the same request.

    Args:
        base_url: The server.
        model: The base model.
        training, validation: The data.
        hyperparameters: As requested; the server may still have to choose those that are `auto`.
        suffix: Suffix of the new model's name.
        seed: Random seed of the training; None leaves it to the server.
    """

    base_url: str
    model: str
    training: JobFile
    validation: JobFile | None = None
    hyperparameters: Mapping[str, int | float | str] = Field(default_factory=dict)
    suffix: str = ""
    seed: int | None = None

    @property
    def sha256(self) -> str:
        """Hash of the request; files count by their content, not by path or id on the server."""
        files = {name: file.sha256 if file else "" for name, file in self._files().items()}
        rest = self.model_dump(mode="json", exclude={"training", "validation"})
        return hashlib.sha256(json.dumps([rest, files], sort_keys=True).encode()).hexdigest()

    def _files(self) -> dict[str, JobFile | None]:
        return {"training": self.training, "validation": self.validation}


class JobRecord(_Record):
    """
    One training request, and what is known of its job.

    Args:
        nonce: Random id in the metadata of the job; also the name of this record's file.
        wanted: The request; None for a job that was not started here.
        base_url: The server.
        registry, version: Registry and version name for the model; empty for the defaults of `watch`.
        job_id: Empty until the server has returned the job, or it was found in the list of jobs.
        status: The last one seen; `refused` if the server refused to create the job.
        last_event, last_event_at: Id and time of the event that was shown last.
        checkpoints: As listed by the server after the job had ended.
    """

    format: Literal[1] = FORMAT
    nonce: str
    created_at: datetime
    base_url: str
    wanted: TrainingRequest | None = None
    registry: str = ""
    version: str = ""
    job_id: str = ""
    status: str = ""
    fine_tuned_model: str = ""
    last_event: str = ""
    last_event_at: datetime | None = None
    checkpoints: tuple[CheckpointRecord, ...] = ()

    @property
    def is_pending(self) -> bool:
        """A job may exist whose id is not known here."""
        return not self.job_id and self.status != REFUSED


class JobStore:
    """The folder of job records. Each record is replaced atomically."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, record: JobRecord) -> JobRecord:
        """
        Write a record; it is on disk when this returns.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            self._make_folder()
        except OSError as error:
            raise TrainingError(f"cannot create: {error.strerror}", str(self.root), "check the permissions") from error
        with new_files([self.root / f"{record.nonce}.json"], force=True) as (file,):
            file.write(record.model_dump_json(indent=1).encode() + b"\n")
        return record

    def update(self, record: JobRecord, **changes: object) -> JobRecord:
        """Write a record with some fields changed; nothing is written if nothing changes."""
        changed = record.model_copy(update=changes)
        return record if changed == record else self.write(changed)

    def records(self) -> list[JobRecord]:
        """
        All records, newest first.

        Raises:
            TrainingError: A record cannot be read. None is skipped: it may be the one that prevents a second job.
        """
        found = [_load(path) for path in self.root.glob("*.json")]
        return sorted(found, key=lambda record: record.created_at, reverse=True)

    def of_job(self, job_id: str, base_url: str) -> JobRecord | None:
        """The record of a job on a server; None if it was not started here."""
        of_job = (record for record in self.records() if record.job_id == job_id and record.base_url == base_url)
        return next(of_job, None)

    @contextmanager
    def locked(self, request_sha256: str) -> Iterator[None]:
        """
        Keep other processes from starting the same request meanwhile.

        Raises:
            TrainingError: Another process is starting it.
        """
        from filelock import FileLock, Timeout

        self._make_folder()
        lock = FileLock(self.root / f"{request_sha256[:16]}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            hint = "wait for that process, which prints the job"
            raise TrainingError("another process is starting the same training", str(self.root), hint) from error
        try:
            yield
        finally:
            lock.release()

    def _make_folder(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        ignore = self.root.parent / ".gitignore"
        if not ignore.exists():
            write_file(ignore, b"*\n")


def new_nonce() -> str:
    """A random id for one training request."""
    return secrets.token_hex(16)


def read_job_file(path: Path) -> JobFile:
    """
    The size and hash of a file.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return JobFile(path=path.as_posix(), bytes=file.tell(), sha256=digest)
    except OSError as error:
        raise TrainingError(f"cannot be read: {error.strerror}", str(path), "check path and permissions") from error


def _load(path: Path) -> JobRecord:
    try:
        return JobRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"cannot be read: {error.strerror}", str(path), "check the permissions") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        hint = (
            "a newer version may have written it: upgrade pytest-finetune. Delete it only if "
            "`pytest-finetune train list` shows that its job is not running"
        )
        raise TrainingError(f"{place}: {first['msg']}", str(path), hint) from error
