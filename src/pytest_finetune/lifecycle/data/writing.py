"""Writes several new files atomically: all of them appear, complete, or none."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.files import PendingFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO


@contextmanager
def new_files(paths: Sequence[Path], *, force: bool = False) -> Iterator[list[BinaryIO]]:
    """
    Open files that appear under their names when the block succeeds, and leave nothing behind when it fails.

    Args:
        paths: The files to write.
        force: Overwrite existing files.

    Raises:
        DataError: A file exists already, two paths are the same, or a folder cannot be written to.
    """
    _refuse_doubles(paths)
    for path in paths:
        refuse_existing(path, force=force)
    with ExitStack() as stack:
        pending = [stack.enter_context(_open(path)) for path in paths]
        yield [each.file for each in pending]
        # All content is on disk before the first file appears, so that a full disk leaves none of them.
        for each in pending:
            each.sync()
        for each, path in zip(pending, paths, strict=True):
            # Another process may have created the file in the meantime.
            refuse_existing(path, force=force)
            each.commit()


def refuse_own_source(source: Path, targets: Sequence[Path]) -> None:
    """
    Refuse to write in place.

    Raises:
        DataError: A target is the source, also under another name.
    """
    for target in targets:
        if target.exists() and source.exists() and target.samefile(source):
            raise DataError(
                "the output file is the input file", str(target), "use another file; files are not changed in place"
            )


def refuse_existing(path: Path, *, force: bool) -> None:
    """
    Refuse to overwrite an existing file without `force`.

    Raises:
        DataError: The file exists, or is not a regular file.
    """
    if path.is_dir():
        raise DataError("is a folder", str(path), "use a file in it")
    if path.exists() and not path.is_file():
        raise DataError("is not a regular file", str(path), "use another file")
    if path.exists() and not force:
        raise DataError("exists already", str(path), "use another file, or overwrite it with --force")


def _refuse_doubles(paths: Sequence[Path]) -> None:
    places = [path.resolve() for path in paths]
    for place, path in zip(places, paths, strict=True):
        if places.count(place) > 1:
            raise DataError("two output files have the same name", str(path), "use different names")


def _open(path: Path) -> PendingFile:
    try:
        return PendingFile(path)
    except OSError as error:
        hint = "create the folder first" if not path.parent.is_dir() else "check the folder's permissions"
        raise DataError(f"cannot be written: {error.strerror}", str(path), hint) from error
