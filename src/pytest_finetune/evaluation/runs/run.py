"""A run on disk: created complete, appended line by line, closed by one atomic replacement."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import write_file
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.runs.manifest import Manifest
from pytest_finetune.evaluation.runs.samples import read_samples, sample_to_dict, sealed_line
from pytest_finetune.evaluation.runs.seal import seal_fault, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from filelock import FileLock

    from pytest_finetune.base.records import Sample

SAMPLES = "samples.jsonl"
"""The file with the samples in a run's directory."""

_ENDED = (State.PASSED, State.MISSED)

_PRIVATE = 0o600
"""Records contain prompts and answers, which are private to the user."""


class Run:
    """
    One run's directory: `manifest.json` and `samples.jsonl`.

    One session writes a run at a time. Its processes may append at once: each record is one write to a file opened for
    appending.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self._file: int | None = None
        self._lock: FileLock | None = None

    @property
    def id(self) -> str:
        """The name of the directory."""
        return self.path.name

    @property
    def _samples(self) -> Path:
        return self.path / SAMPLES

    @classmethod
    def load(cls, path: Path) -> Run:
        """
        Open an existing run.

        Raises:
            RunError: It does not exist, or its manifest cannot be read.
        """
        where = path / "manifest.json"
        try:
            return cls(path, Manifest.model_validate_json(where.read_bytes()))
        except OSError as error:
            raise RunError(f"cannot be read: {error.strerror}", str(where), "name a run's folder") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise RunError(
                f"{place}: {first['msg']}", str(where), "a newer version may have written it: upgrade pytest-finetune"
            ) from error

    def samples(self) -> dict[tuple[str, str, int], Sample]:
        """
        Every recorded sample by its key; for one that was requested again, the last result.

        For a closed run, only those recorded when it closed: a process that was still running may have added more.

        Raises:
            RunError: A line is damaged.
        """
        return {sample.key: sample for sample in self.every_sample()}

    def every_sample(self) -> Iterator[Sample]:
        """
        Every record in the order of writing: a sample that was requested again has several.

        Raises:
            RunError: A line is damaged.
        """
        path, length = self._samples, self.manifest.samples_bytes
        return read_samples(path, length=length) if path.exists() else iter(())

    @property
    def is_empty(self) -> bool:
        """Whether no sample was recorded."""
        return not self._samples.exists() or self._samples.stat().st_size == 0

    @property
    def seal_fault(self) -> str:
        """What is wrong with the seal of a closed run, in one clause; empty if it is intact."""
        return seal_fault(self.manifest, self._samples)

    def answered(self) -> dict[tuple[str, str, int], Sample]:
        """The samples that are not requested again on resume; errors are."""
        return {key: sample for key, sample in self.samples().items() if sample.state in _ENDED}

    def append(self, sample: dict[str, Any]) -> None:
        """
        Append one sample, as returned by `sample_to_dict`; from here on it survives the process.

        Raises:
            RunError: It cannot be written, for example because the disk is full.
        """
        try:
            if self._file is None:
                self._file = os.open(self._samples, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE)
            _append(self._file, sealed_line(sample))
        except OSError as error:
            raise unwritable(error, self._samples) from error

    def settle(self, judged: Mapping[tuple[str, str, int], Sample]) -> None:
        """
        Make the last record of every sample the one that was judged.

        If two processes requested the same sample, the answer written last may not be the one that was judged.

        Raises:
            RunError: A line is damaged.
        """
        ended = {key: sample for key, sample in judged.items() if sample.state in (*_ENDED, State.ERROR)}
        if not self._samples.exists() or _lines(self._samples) == len(ended):
            return
        recorded = self.samples()
        for key, sample in ended.items():
            line = sample_to_dict(sample)
            if key in recorded and sample_to_dict(recorded[key]) != line:
                self.append(line)

    def update(self, **changes: object) -> None:
        """
        Replace the manifest, atomically; a manifest that closes the run is sealed.

        Raises:
            RunError: The run is closed, or the manifest cannot be written; the old one is left then.
        """
        if self.manifest.closed:
            raise RunError("a closed run never changes", str(self.path), "start a new run")
        manifest, path = self.manifest.model_copy(update=changes), self.path / "manifest.json"
        manifest = sealed(manifest, self._samples) if manifest.closed else manifest
        try:
            write_file(path, manifest.model_dump_json(indent=1).encode() + b"\n", private=True)
        except OSError as error:
            raise unwritable(error, path) from error
        self.manifest = manifest

    def lock(self) -> None:
        """
        Become the one session that writes this run, until `release` or the end of the process.

        Raises:
            RunError: Another session is writing it.
        """
        from filelock import FileLock, Timeout

        path = self.path / "writer.lock"
        lock = FileLock(path, timeout=0, mode=_PRIVATE)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(
                "another session is writing this run",
                str(self.path),
                "wait until it ends, or start a new run without --resume",
            ) from error
        except NotImplementedError as error:
            # Earlier versions of filelock raise it where a network file system has no locks.
            hint = "keep runs on a local disk"
            raise RunError("its file system cannot lock a file", str(self.path), hint) from error
        except OSError as error:
            raise unwritable(error, path) from error
        self._lock = lock

    def release(self) -> None:
        """Close the file that `append` opened, and let another session write."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def unwritable(error: OSError, path: Path) -> RunError:
    """The error of a record that cannot be written: a full disk, a read-only folder."""
    hint = "free some space or make the folder writable, then continue with --resume"
    return RunError(f"the record cannot be written: {error.strerror or error}", str(path), hint)


def _append(file: int, line: bytes) -> None:
    """
    Append a whole line or nothing.

    Raises:
        OSError: It could not be written.
    """
    written = 0
    try:
        while written < len(line):
            written += os.write(file, line[written:])
    except OSError:
        # A torn line in the middle would make the record unreadable; another process may have appended after it.
        if written and os.lseek(file, 0, os.SEEK_CUR) == (size := os.fstat(file).st_size):
            os.ftruncate(file, size - written)
        raise


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 18), b""))
