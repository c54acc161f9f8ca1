"""New files that are whole or not there: written beside their place, and put there at the end."""

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
    Files to write, that get their names when the block ends well, and leave nothing behind when it does not.

    Args:
        paths: Where they will be.
        force: Take the place of files that are there.

    Raises:
        DataError: A file is there already, two paths are one, or the folder cannot be written to.
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
            # Another process may have put a file there in the meantime.
            refuse_existing(path, force=force)
            each.commit()


def refuse_own_source(source: Path, targets: Sequence[Path]) -> None:
    """
    Nothing is written in place.

    Raises:
        DataError: A target is the source itself, under whatever name.
    """
    for target in targets:
        if target.exists() and source.exists() and target.samefile(source):
            raise DataError("the output is the input", str(target), "name another file: nothing is written in place")


def refuse_existing(path: Path, *, force: bool) -> None:
    """
    A file that is there is replaced only where that is asked for.

    Raises:
        DataError: It is there, or is no file.
    """
    if path.is_dir():
        raise DataError("is a folder", str(path), "name a file in it")
    if path.exists() and not path.is_file():
        raise DataError("is no regular file", str(path), "name a new file")
    if path.exists() and not force:
        raise DataError("is there already", str(path), "name another file, or replace it with --force")


def _refuse_doubles(paths: Sequence[Path]) -> None:
    places = [path.resolve() for path in paths]
    for place, path in zip(places, paths, strict=True):
        if places.count(place) > 1:
            raise DataError("two outputs have one name", str(path), "give each a name of its own")


def _open(path: Path) -> PendingFile:
    try:
        return PendingFile(path)
    except OSError as error:
        hint = "make the folder first" if not path.parent.is_dir() else "check the folder and the rights to write"
        raise DataError(f"cannot be written: {error.strerror}", str(path), hint) from error
