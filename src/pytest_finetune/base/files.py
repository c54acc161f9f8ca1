"""The one way to write a file: whole or not at all, and without touching anything next to it."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from errno import EACCES, EINVAL
from functools import partial
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import BinaryIO, Self

_EFFECTIVE_IDS = os.access in os.supports_effective_ids


class PendingFile:
    """
    New content for a file, kept under a private name in the same folder until `commit`.

    A symbolic link is followed, so it stays a link. An existing file keeps its mode and, where permitted, its owner; a
    new file gets its mode from the umask. A hard link is separated from its other names, because one rename cannot
    replace them all. A stream (a pipe, a terminal, `/dev/stdout`) is written to directly, as it cannot be replaced.

    Use it as a context manager: what is not committed by the end of the block is discarded.

    Raises:
        OSError: The folder or the existing file is not writable.
    """

    def __init__(self, path: Path, *, private: bool = False) -> None:
        self._path, self._target = path, Path(os.path.realpath(path))
        self._temporary: Path | None = None
        self.file: BinaryIO
        if is_stream(path):
            self.file = path.open("ab")
            return
        # Not made from the target's name, which may already be as long as the file system allows.
        temporary = self._target.with_name(f".pytest-finetune-{secrets.token_hex(8)}.tmp")
        self.file = self._create(temporary, private=private)
        self._temporary = temporary

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def sync(self) -> None:
        """Put the content on disk and close the file. After this only the rename can fail."""
        self.file.flush()
        if self._temporary is not None:
            os.fsync(self.file.fileno())
        self.file.close()

    def commit(self) -> None:
        """Put the content in the file's place."""
        if not self.file.closed:
            self.sync()
        if self._temporary is None:
            return
        self._temporary.replace(self._target)
        self._temporary = None
        _sync_folder(self._target.parent)

    def discard(self) -> None:
        """Remove the content if it was not committed. A stream keeps what was written to it."""
        try:
            # Closing flushes, which fails again where a write failed.
            with suppress(OSError):
                self.file.close()
        finally:
            if self._temporary is not None:
                self._temporary.unlink(missing_ok=True)
                self._temporary = None

    def _create(self, temporary: Path, *, private: bool) -> BinaryIO:
        old = self._target.stat() if self._target.exists() else None
        if old is not None and not os.access(self._target, os.W_OK, effective_ids=_EFFECTIVE_IDS):
            # A rename needs no permission for the file that it replaces: without this, read-only would mean nothing.
            raise PermissionError(EACCES, os.strerror(EACCES), str(self._path))
        # A private file stays private while it is written. The mode of any other new file is up to the umask.
        mode = 0o600 if private or old is not None else 0o666
        try:
            # The file object carries its name, for libraries that write by name. `discard` closes it.
            file = open(temporary, "x+b", opener=partial(os.open, mode=mode))  # noqa: SIM115
        except OSError as error:
            error.filename = str(self._path)
            raise
        if old is not None:
            try:
                _keep_owner(temporary, old)
                temporary.chmod(S_IMODE(old.st_mode))
            except BaseException:
                file.close()
                temporary.unlink()
                raise
        return file


@contextmanager
def atomic_writer(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """
    Open a file for writing; it gets the new content when the block ends, and stays as it was if the block raises.

    The folder must exist. A new file that is `private` can be read by its owner alone. Of two writers at once
    the last one wins, and no reader sees a mixture.

    Raises:
        OSError: It could not be written.
    """
    with PendingFile(path, private=private) as pending:
        yield pending.file
        pending.commit()


def write_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """
    Write a whole file, as `atomic_writer` does.

    Raises:
        OSError: It could not be written.
    """
    with atomic_writer(path, private=private) as file:
        file.write(data)


def copy_file(source: Path, target: Path) -> None:
    """
    Copy a file's content, as `atomic_writer` does.

    Raises:
        OSError: The source could not be read, or the target not written.
    """
    with source.open("rb") as content, atomic_writer(target) as file:
        shutil.copyfileobj(content, file, 1 << 20)


def read_regular(path: Path) -> bytes:
    """
    The bytes of a regular file.

    Raises:
        OSError: It cannot be read, or is a pipe or device, which may never end or never begin.
    """
    # Without O_NONBLOCK, opening a pipe waits for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(EINVAL, "not a regular file", str(path))
        return file.read()


def is_stream(path: Path) -> bool:
    """Whether a path leads to something to write to, not to replace: a pipe, a device, or this process's own output."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    if not S_ISREG(found.st_mode):
        return True
    # Redirected to a file, `/dev/stdout` is a regular file: a new one in its place would lose what was printed.
    return _is_open_descriptor(path) or any(os.path.samestat(found, each) for each in _own_output())


def _is_open_descriptor(path: Path) -> bool:
    folder = os.path.realpath(path.parent)
    return folder == "/dev" or folder.startswith("/proc/")


def _own_output() -> Iterator[os.stat_result]:
    for descriptor in (1, 2):
        # A daemon may have closed it.
        with suppress(OSError):
            yield os.fstat(descriptor)


def _keep_owner(temporary: Path, old: os.stat_result) -> None:
    made = temporary.stat()
    if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid) and hasattr(os, "chown"):
        # Only root may give a file away; others may still keep a group that they belong to.
        with suppress(PermissionError):
            os.chown(temporary, -1, old.st_gid)
            os.chown(temporary, old.st_uid, -1)


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder outlast a power failure."""
    # The change is made by now. Windows opens no folder, and some network file systems sync none.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
