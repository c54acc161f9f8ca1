"""Splits a JSONL file into one file per side: read twice, lines copied unchanged, all files written or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.chat_rows import chat_rows
from pytest_finetune.lifecycle.data.raw_rows import LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, refuse_pipe, skip_line
from pytest_finetune.lifecycle.data.split import SIDES, Splitter
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.raw_rows import LeftOut
    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.data.split import Split, SplitOptions


@dataclass(frozen=True, slots=True)
class FileSplit:
    """
    The result of splitting a file.

    Args:
        split: The side of each row, and counts.
        targets: Files that were written, by side; only sides with a share.
        left_out: Lines that were skipped because they cannot be read.
    """

    split: Split
    targets: Mapping[str, Path]
    left_out: LeftOuts


def split_file(
    source: Path,
    targets: Mapping[str, Path],
    options: SplitOptions,
    *,
    force: bool = False,
    watch: Callable[[Iterable[Row | LeftOut]], Iterable[Row | LeftOut]] = iter,
) -> FileSplit:
    """
    Split a file.

    Args:
        source: A JSONL file; rows are copied byte for byte, except that lines end with a line feed.
        targets: A file for each side that has a share.
        options: How rows are split.
        force: Overwrite existing files.
        watch: Passes on the rows that are read, to show progress.

    Raises:
        DataError: The source cannot be read, changes while it is read, has no rows, or has no row with the key
            `group_by` or `label_by`; or a target cannot be written.
    """
    refuse_pipe(source)
    refuse_own_source(source, list(targets.values()))
    with new_files(list(targets.values()), force=force) as files:
        before = _state(source)
        split, lines, left_out = _assigned(watch(read_jsonl(source)), options, source)
        by_side = dict(zip(targets, files, strict=True))
        for side, raw in zip(split.sides, _copied(source, lines), strict=True):
            by_side[SIDES[side]].write(raw)
        if _state(source) != before:
            raise DataError("the file changed while it was read", str(source), "repeat when nothing writes to it")
    return FileSplit(split, targets, left_out)


def _assigned(
    records: Iterable[Row | LeftOut], options: SplitOptions, source: Path
) -> tuple[Split, bytearray, LeftOuts]:
    """The split, for each line 1 if it is a row and else 0, and the lines that are not rows."""
    splitter, lines, left_out = Splitter(options), bytearray(), LeftOuts()
    for record, row in chat_rows(records, left_out, shape=options.shape):
        splitter.add(record.value, row)
        lines.extend(bytes(record.line - len(lines) - 1) + b"\x01")
    if not lines:
        raise left_out.nothing_left(source)
    splitter.refuse_unknown_keys(str(source))
    return splitter.split(), lines, left_out


def _copied(source: Path, lines: bytearray) -> Iterator[bytes]:
    """The lines that are rows, unchanged except for their line endings."""
    with source.open("rb") as file:
        if file.read(len(UTF8_BOM)) != UTF8_BOM:
            file.seek(0)
        for wanted in lines:
            raw = file.readline(MAX_LINE_BYTES + 1)
            if wanted:
                yield raw.rstrip(b"\r\n") + b"\n"
            elif not raw.endswith(b"\n"):
                skip_line(file)


def _state(path: Path) -> tuple[int, int]:
    """Size and modification time of a file, which show whether it changed between the two readings."""
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check path and permissions") from error
    return found.st_size, found.st_mtime_ns
