"""`registry.json` on disk: a reader sees the old file or the new one whole, and of two writers one is told it lost."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IWRITE
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.base.files import write_file
from pytest_finetune.lifecycle.registry.document import read_document, write_document
from pytest_finetune.lifecycle.registry.entry import Registry
from pytest_finetune.lifecycle.registry.states import apply
from pytest_finetune.lifecycle.registry.verification import refuse_altered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.lifecycle.registry.states import Change

LOCK_TIMEOUT = 30.0
"""Seconds that a writer waits for the others; a change takes milliseconds."""

_REMEDY = "restore the file from the repository, or force with a reason"


class FileBackend:
    """
    A registry in a file, which need not be there yet.

    Beside the file lies `registry.json.lock`; it is empty, stays, and need not be kept in the repository.

    Args:
        path: The file. A link is followed: what it points to is replaced, and the link stays.
        lock_timeout: Seconds to wait for another writer.
    """

    def __init__(self, path: str | Path, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self.path, self.lock_timeout = Path(path), lock_timeout

    @property
    def location(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def read(self) -> Registry:
        """
        The registry as it stands; an empty one where there is no file. No lock is needed.

        Raises:
            RegistryError: The file cannot be read: see `read_document`.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Registry()
        except OSError as error:
            raise RegistryError(f"cannot be read: {error.strerror}", self.location) from error
        return read_document(data, self.location)

    def update(self, change: Change, *, now: datetime | None = None, expected_seq: int | None = None) -> Registry:
        """
        Make one change and keep it, or change nothing; see `Backend.update`.

        Raises:
            RegistryError: As there; also where the registry does not agree with its history, unless the change is
                forced: a further event would cover up what was done outside the history.
        """
        with self._locked() as target:
            registry = self.read()
            self._check_seq(registry, expected_seq)
            if not change.forced:
                refuse_altered(registry, self.location, remedy=_REMEDY)
            changed = apply(registry, change, now=now or datetime.now(UTC))
            data = write_document(changed)
            try:
                write_file(target, data)
            except OSError as error:
                raise RegistryError(f"cannot be written: {error.strerror}", self.location) from error
        return changed

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """Hold the lock on the file that a link points to, and give that file."""
        from filelock import FileLock, Timeout

        target = Path(os.path.realpath(self.path))
        if not target.parent.is_dir():
            # The lock would make the folder, and a mistyped path would begin another registry.
            raise RegistryError(f"there is no folder {target.parent}", self.location, "make it, or mend the path")
        if target.exists() and not target.stat().st_mode & S_IWRITE:
            # Replacing needs leave of the folder alone, and would pass over what the file says.
            raise RegistryError("is read-only", self.location, "chmod u+w it, if it is meant to change")
        lock = FileLock(f"{target}.lock", timeout=self.lock_timeout)
        try:
            lock.acquire(poll_interval=0.01)
        except Timeout as error:
            raise RegistryError(
                f"another process has held {target.name}.lock for {self.lock_timeout:g} s",
                self.location,
                "wait for it, or end it",
            ) from error
        except OSError as error:
            raise RegistryError(f"cannot be locked: {error.strerror}", self.location) from error
        try:
            yield target
        finally:
            lock.release()

    def _check_seq(self, registry: Registry, expected_seq: int | None) -> None:
        if expected_seq is not None and registry.seq != expected_seq:
            raise RegistryError(
                f"changed meanwhile: it is at event {registry.seq}, and the decision was made at {expected_seq}",
                self.location,
                "look at it as it stands now, and decide again",
            )
