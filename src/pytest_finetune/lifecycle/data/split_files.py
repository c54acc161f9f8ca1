"""A JSONL file dealt out to one file a side: read twice, copied line for line, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, refuse_pipe, skip_line
from pytest_finetune.lifecycle.data.split import SIDES, Splitter
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.data.split import Split, SplitOptions


@dataclass(frozen=True, slots=True)
class FileSplit:
    """
    What became of a file.

    Args:
        split: Who went where.
        targets: The files that were written, by side; none for a side that was not asked for.
        left_out: Lines that are no rows.
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
    Deal the rows of a file out.

    Args:
        source: A JSONL file; each row is copied byte for byte, its line end made a line feed.
        targets: A file for every side that has a share.
        options: How.
        force: Take the place of files that are there.
        watch: Is handed the rows that are read, and hands them on.

    Raises:
        DataError: The source cannot be read, changes meanwhile, or holds no row or none with the
            key to group or to label by; or a target cannot be written.
    """
    refuse_pipe(source)
    refuse_own_source(source, list(targets.values()))
    with new_files(list(targets.values()), force=force) as files:
        before = _state(source)
        split, lines, left_out = _dealt(watch(read_jsonl(source)), options, source)
        by_side = dict(zip(targets, files, strict=True))
        for side, raw in zip(split.sides, _copied(source, lines), strict=True):
            by_side[SIDES[side]].write(raw)
        if _state(source) != before:
            raise DataError("the file changed while it was read", str(source), "split it again when it is at rest")
    return FileSplit(split, targets, left_out)


def _dealt(records: Iterable[Row | LeftOut], options: SplitOptions, source: Path) -> tuple[Split, bytearray, LeftOuts]:
    """Who goes where, for each line whether it is a row, and what is none."""
    splitter, lines, left_out = Splitter(options), bytearray(), LeftOuts()
    for each in records:
        if isinstance(each, LeftOut):
            left_out.add(each)
        else:
            splitter.add(each.value)
            lines.extend(bytes(each.line - len(lines) - 1) + b"\x01")
    if not lines:
        raise left_out.nothing_left(source)
    splitter.refuse_unknown_keys(str(source))
    return splitter.split(), lines, left_out


def _copied(source: Path, lines: bytearray) -> Iterator[bytes]:
    """The lines that are rows, as they stand."""
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
    """Size and time of change of a file that can be read twice."""
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check the path and the rights") from error
    return found.st_size, found.st_mtime_ns
