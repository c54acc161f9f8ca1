"""Files to the server: streamed, tried again when the line breaks, and not sent twice where it has them already."""

from __future__ import annotations

from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.faults import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.record import file_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_finetune.lifecycle.training.record import FileRecord, JobRecord
    from pytest_finetune.lifecycle.training.service import FineTuning

WAITS = (1.0, 4.0, 15.0)
"""Seconds before the second try and those after it. A file costs nothing, so that one sent in vain does no harm."""


def uploaded(
    service: FineTuning,
    file: FileRecord,
    earlier: Iterable[JobRecord],
    *,
    tell: Callable[[str], None],
    sleep: Callable[[float], None],
    progress: Callable[[int, int], None] | None = None,
) -> FileRecord:
    """
    The file with its id on the server.

    One that an earlier start has sent, with the same SHA-256, is used again while the server still has it; a server
    tells no hash of what it holds, so that a file of the same name and length from elsewhere is none.

    Args:
        service: The server.
        file: What to send.
        earlier: The records of earlier starts.
        tell: Called with what happens, a sentence each.
        sleep: Waits so many seconds.
        progress: Called with the bytes read so far and all there are.

    Raises:
        TrainingError: It could not be sent, or changed meanwhile.
    """
    if known := _known(service, file, earlier):
        tell(f"{file.path} is on the server already, as {known}")
        return file.model_copy(update={"file_id": known})
    for wait in (*WAITS, None):
        try:
            file_id = _send(service, Path(file.path), progress)
        except NoAnswerError as fault:
            if wait is None:
                raise
            tell(f"the upload of {file.path} broke off ({fault.problem}): once more in {wait:g} s")
            sleep(wait)
        else:
            break
    if file_record(Path(file.path)).sha256 != file.sha256:
        raise TrainingError("changed while it was uploaded", file.path, "start again when nobody writes to it")
    return file.model_copy(update={"file_id": file_id})


def _send(service: FineTuning, path: Path, progress: Callable[[int, int], None] | None) -> str:
    with _Watched(path, progress) as file:
        return service.upload(path.name, file)


def _known(service: FineTuning, file: FileRecord, earlier: Iterable[JobRecord]) -> str:
    """The id under which the server has this very file; empty where it has not, or does not say."""
    for record in earlier:
        if record.wanted is None or record.base_url != service.base_url:
            continue
        for one in (record.wanted.training, record.wanted.validation):
            if one and one.file_id and one.sha256 == file.sha256 and _is_there(service, one):
                return one.file_id
    return ""


def _is_there(service: FineTuning, file: FileRecord) -> bool:
    try:
        found = service.uploaded(file.file_id)
    except (RefusedError, NoAnswerError):
        return False
    return found.get("bytes") == file.bytes and found.get("status") != "error"


class _Watched(BufferedReader):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, progress: Callable[[int, int], None] | None) -> None:
        super().__init__(FileIO(path, "rb"))
        self._progress, self._size = progress, path.stat().st_size

    def read(self, *size: Any) -> bytes:
        found = super().read(*size)
        if self._progress is not None:
            self._progress(self.tell(), self._size)
        return found
