"""`registry.json` on disk: readers see the old or the new file, never a mixture; writers take turns by a lock file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from stat import S_IWRITE
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.base.files import read_regular, write_file
from pytest_finetune.lifecycle.registry.document import read_document, write_document
from pytest_finetune.lifecycle.registry.entry import Registry
from pytest_finetune.lifecycle.registry.states import apply_checked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pytest_finetune.lifecycle.registry.states import Change

LOCK_TIMEOUT = 30.0
"""Seconds that a writer waits for others; a change takes milliseconds."""

_REMEDY = "restore the file from the repository, or force with a reason"


class FileBackend:
    """
    A registry in a file, which need not exist yet.

    Next to the file is `registry.json.lock`. It is empty, remains there, and need not be committed.

    Args:
        path: The file. A symbolic link is followed and stays a link.
        lock_timeout: Seconds to wait for another writer.
    """

    def __init__(self, path: str | Path, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self.path, self.lock_timeout = Path(path), lock_timeout

    @property
    def location(self) -> str:
        """The given path."""
        return str(self.path)

    def read(self) -> Registry:
        """
        The registry; an empty one if there is no file. No lock is needed.

        Raises:
            RegistryError: The file cannot be read: see `read_document`.
        """
        try:
            data = read_regular(self.path)
        except FileNotFoundError:
            return Registry()
        except OSError as error:
            raise RegistryError(f"cannot be read: {error.strerror}", self.location) from error
        return read_document(data, self.location)

    def update(self, change: Change, *, now: datetime | None = None, expected_seq: int | None = None) -> Registry:
        """
        Make one change and store it, or change nothing; see `Backend.update`.

        Raises:
            RegistryError: As there.
        """
        with self._locked() as target:
            changed = apply_checked(
                self.read(), change, self.location, now=now, expected_seq=expected_seq, remedy=_REMEDY
            )
            data = write_document(changed)
            try:
                write_file(target, data)
            except OSError as error:
                raise RegistryError(f"cannot be written: {error.strerror}", self.location) from error
        return changed

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """Hold the lock of the file that a link points to, and yield that file."""
        from filelock import FileLock, Timeout

        target = Path(os.path.realpath(self.path))
        if not target.parent.is_dir():
            # The lock would create the folder, so a mistyped path would start another registry.
            raise RegistryError(f"there is no folder {target.parent}", self.location, "create it, or correct the path")
        if target.exists() and not target.stat().st_mode & S_IWRITE:
            # To replace a file only its folder must be writable, so its own mode is checked here.
            raise RegistryError("is read-only", self.location, "make it writable (chmod u+w) to change it")
        # Across processes, and released by the system if the holder dies. It covers reading, deciding and writing.
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
