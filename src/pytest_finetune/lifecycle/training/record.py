"""What is known here of each job, in `.finetune/jobs`: written before the server is asked, so that no job is lost."""

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
"""Status of a record whose job the server would not make."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Record):
    """A file as it was uploaded; `file_id` is empty until it is."""

    path: str
    bytes: int
    sha256: str
    file_id: str = ""


class CheckpointRecord(_Record):
    """A model that the job left behind on its way."""

    model: str
    step: int
    metrics: dict[str, float] = Field(default_factory=dict)


class Wanted(_Record):
    """
    What somebody wants trained: two that are equal but for paths are the same wish.

    Args:
        base_url: The server.
        model: The base model.
        training, validation: The data.
        hyperparameters: As asked for.
        suffix: Part of the new model's name.
        seed: For the server's draw.
    """

    base_url: str
    model: str
    training: FileRecord
    validation: FileRecord | None = None
    hyperparameters: Mapping[str, int | float | str] = Field(default_factory=dict)
    suffix: str = ""
    seed: int | None = None

    @property
    def sha256(self) -> str:
        """Hash of the wish: what the files say counts, not where they lie or what they are called on the server."""
        files = {name: file.sha256 if file else "" for name, file in self._files().items()}
        rest = self.model_dump(mode="json", exclude={"training", "validation"})
        return hashlib.sha256(json.dumps([rest, files], sort_keys=True).encode()).hexdigest()

    def _files(self) -> dict[str, FileRecord | None]:
        return {"training": self.training, "validation": self.validation}


class JobRecord(_Record):
    """
    One request to train, and all that is remembered of the job that came of it.

    Args:
        nonce: In the metadata of the job; names the file of this record.
        wanted: What was asked for; None for a job that was begun elsewhere.
        base_url: The server.
        registry, version: Where the model goes, under which name; empty for the defaults of `watch`.
        job_id: Empty until the server has named the job, or somebody has found it there.
        status: The last one seen; `refused` where the server would not make the job.
        last_event, last_event_at: The event that was shown last.
        checkpoints: As the server listed them when the job had ended.
    """

    format: Literal[1] = FORMAT
    nonce: str
    created_at: datetime
    base_url: str
    wanted: Wanted | None = None
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
        """A job may have been made that nobody here knows the name of."""
        return not self.job_id and self.status != REFUSED


class JobStore:
    """The folder of job records; each is replaced whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, record: JobRecord) -> JobRecord:
        """
        Keep a record; it is on the disk when this returns.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            self._make_folder()
        except OSError as error:
            raise TrainingError(f"cannot be made: {error.strerror}", str(self.root), "check the rights") from error
        with new_files([self.root / f"{record.nonce}.json"], force=True) as (file,):
            file.write(record.model_dump_json(indent=1).encode() + b"\n")
        return record

    def update(self, record: JobRecord, **changes: object) -> JobRecord:
        """The record with changes, kept; nothing is written where nothing changes."""
        changed = record.model_copy(update=changes)
        return record if changed == record else self.write(changed)

    def records(self) -> list[JobRecord]:
        """
        All records, the newest first.

        Raises:
            TrainingError: One cannot be read; it may be the one that keeps a job from being made twice.
        """
        found = [_load(path) for path in self.root.glob("*.json")]
        return sorted(found, key=lambda record: record.created_at, reverse=True)

    def of_job(self, job_id: str, base_url: str) -> JobRecord | None:
        """The record of a job on a server; None for one that was begun elsewhere."""
        mine = (record for record in self.records() if record.job_id == job_id and record.base_url == base_url)
        return next(mine, None)

    @contextmanager
    def locked(self, wish: str) -> Iterator[None]:
        """
        Keep others from starting the same wish meanwhile.

        Raises:
            TrainingError: Somebody is at it.
        """
        from filelock import FileLock, Timeout

        self._make_folder()
        lock = FileLock(self.root / f"{wish[:16]}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            hint = "wait until that one has ended: it will tell the job"
            raise TrainingError("another process is starting the very same training", str(self.root), hint) from error
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
    """A name that no other request to train has."""
    return secrets.token_hex(16)


def file_record(path: Path) -> FileRecord:
    """
    A file as it is now, read once.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileRecord(path=path.as_posix(), bytes=file.tell(), sha256=digest)
    except OSError as error:
        raise TrainingError(f"cannot be read: {error.strerror}", str(path), "check the path and the rights") from error


def _load(path: Path) -> JobRecord:
    try:
        return JobRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"cannot be read: {error.strerror}", str(path), "check the rights") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        hint = (
            "a newer version may have written it: upgrade pytest-finetune. Delete it only when "
            "`pytest-finetune train list` shows that no job of it runs"
        )
        raise TrainingError(f"{place}: {first['msg']}", str(path), hint) from error
