"""Upload files: streamed, retried when the connection breaks, and skipped if the server already has them."""

from __future__ import annotations

import time
from contextlib import suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job_records import read_job_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_finetune.lifecycle.training.job_records import JobFile, JobRecord
    from pytest_finetune.lifecycle.training.service import FineTuning

WAITS = (1.0, 4.0, 15.0)
"""Seconds before each retry. Retrying is safe: an upload costs nothing, and an unused one does no harm."""


NOT_READY = frozenset({"pending", "uploading", "running", "processing", "validating", "queued", "notRunning"})
"""Statuses in which a job cannot use a file yet; Azure imports and validates a file after the upload."""

BROKEN = frozenset({"error", "failed", "canceled", "cancelled", "deleted", "deleting"})
POLL, LONGEST_PROCESSING = 2.0, 1800.0
"""Seconds between polls of a file that is not ready, and seconds after which to give up."""


def upload_file(
    service: FineTuning,
    file: JobFile,
    earlier: Iterable[JobRecord],
    *,
    notify: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
) -> JobFile:
    """
    Upload a file unless the server has it; returns the file with its id.

    A file with the same SHA-256 that an earlier start uploaded is reused while the server still has it. Only our own
    records can prove that: servers do not report the hash of a file, and name and size prove nothing.

    Args:
        service: The server.
        file: The file.
        earlier: The records of earlier starts.
        notify: Called with a message for the user.
        progress: Called with the bytes read so far and the size of the file.

    Raises:
        TrainingError: The upload failed, or the file changed meanwhile.
    """
    if known := _known(service, file, earlier):
        notify(f"{file.path} is already on the server, as {known}")
        return file.model_copy(update={"file_id": known})
    for wait in (*WAITS, None):
        try:
            sent = _send(service, Path(file.path), progress)
        except (NoAnswerError, RefusedError) as fault:
            if wait is None or (isinstance(fault, RefusedError) and not fault.is_temporary):
                raise
            notify(f"the upload of {file.path} failed ({fault.problem}); retrying in {wait:g} s")
            time.sleep(wait)
        else:
            break
    if read_job_file(Path(file.path)).sha256 != file.sha256:
        raise TrainingError(
            "changed during the upload", file.path, "start again when no other program writes to the file"
        )
    _wait_until_ready(service, sent, file, notify=notify)
    return file.model_copy(update={"file_id": str(sent["id"])})


def _wait_until_ready(
    service: FineTuning,
    sent: dict[str, Any],
    file: JobFile,
    *,
    notify: Callable[[str], None],
) -> None:
    where, waited = f"GET /files/{sent['id']}", 0.0
    while sent.get("status") in NOT_READY:
        if waited == 0.0:
            notify(f"the server is processing {file.path}")
        if waited >= LONGEST_PROCESSING:
            hint = "start again later; the file is not uploaded twice"
            raise TrainingError(f"the file is still {sent['status']} after {waited:g} s", where, hint)
        time.sleep(POLL)
        waited += POLL
        # A failed poll is repeated, as if the file were not ready.
        with suppress(NoAnswerError):
            sent = service.uploaded(str(sent["id"]))
    if sent.get("status") in BROKEN:
        reason = sent.get("status_details") or sent.get("error") or "no reason given"
        raise TrainingError(
            f"the server rejected the file: {reason}", file.path, "check it with `pytest-finetune data check`"
        )


def _send(service: FineTuning, path: Path, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    with _ProgressReader(path, progress) as file:
        return service.upload(path.name, file)


def _known(service: FineTuning, file: JobFile, earlier: Iterable[JobRecord]) -> str:
    """The id of this file on the server; empty if the server does not have it."""
    for record in earlier:
        if record.wanted is None or record.base_url != service.base_url:
            continue
        for sent in (record.wanted.training, record.wanted.validation):
            if sent and sent.file_id and sent.sha256 == file.sha256 and _is_there(service, sent):
                return sent.file_id
    return ""


def _is_there(service: FineTuning, file: JobFile) -> bool:
    try:
        found = service.uploaded(file.file_id)
    except (RefusedError, NoAnswerError):
        return False
    return found.get("bytes") == file.bytes and found.get("status") not in NOT_READY | BROKEN


class _ProgressReader(BufferedReader):
    """A file that reports how far it has been read."""

    def __init__(self, path: Path, progress: Callable[[int, int], None] | None) -> None:
        super().__init__(FileIO(path, "rb"))
        self._progress, self._size = progress, path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if self._progress is not None:
            self._progress(self.tell(), self._size)
        return found
