"""Reads the rows of a foreign file: JSONL, JSON, CSV, or YAML."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.raw_rows import FORMATS as FILES
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, read_raw
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, Row
from pytest_finetune.lifecycle.importing import bfcl, inspect_logs, openai_evals, promptfoo, requests, rows
from pytest_finetune.lifecycle.importing.openai_evals import OutputItems
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_finetune.lifecycle.importing.foreign import Format

FORMATS: dict[str, Format] = {
    each.name: each
    for module in (openai_evals, requests, promptfoo, inspect_logs, bfcl, rows)
    for each in module.FORMATS
}
"""The formats by name; the first one that fits a row is its format."""

_MOST_BYTES = 512 * 1024 * 1024
_MOST_YAML = 8 * 1024 * 1024
"""PyYAML takes seconds for each MiB."""

_HEAD = 64 * 1024
_NEWLINE = "\n"


def read_source(path: Path) -> Iterator[Row | LeftOut]:
    """
    The rows of a file in order. A JSON object with the rows in `data` counts as a list of them.

    Raises:
        DataError: The file cannot be read, or is of no known kind.
    """
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        yield _object(_yaml(path), path)
    elif suffix == ".eval":
        yield from inspect_logs.read_log(path)
    elif suffix == ".json" and _starts_with(path, b"{"):
        yield from read_raw(path, form="jsonl") if _has_objects_in_lines(path) else _unwrapped(_document(path), path)
    else:
        form = FILES.get(suffix)
        if form is None:
            raise DataError(f"unknown kind of file {suffix!r}", str(path), "use .jsonl, .json, .csv, .yaml or .eval")
        yield from _records(path, form)


def _records(path: Path, form: str) -> Iterator[Row | LeftOut]:
    try:
        for each in read_raw(path, form=form):
            if isinstance(each, LeftOut):
                yield replace(each, reason=each.reason.replace("--encoding", "its encoding"))
            else:
                yield each
    except DataError as error:
        # `data prepare`, which reads these files too, has options for what `import` does not read.
        hint = "save it as UTF-8, with records of at most 8 MiB" if "--" in error.hint else error.hint
        raise DataError(error.problem, error.where, hint) from error


def read_definition(path: Path) -> dict[str, Any]:
    """
    The one object of a JSON or YAML file.

    Raises:
        DataError: The file cannot be read, or does not hold one object.
    """
    value = _yaml(path) if path.suffix.lower() in (".yaml", ".yml") else _json(path)
    return _object(value, path).value


def with_format(source: Iterator[Row | LeftOut], path: Path, named: str = "") -> tuple[Format, Iterator[Row | LeftOut]]:
    """
    The format of a file and its rows.

    Args:
        source: The rows.
        path: The file, for messages.
        named: The format by name; empty finds it by the first row.

    Raises:
        DataError: No format fits, or the file has no rows.
    """
    ahead: list[Row | LeftOut] = []
    for each in source:
        ahead.append(each)
        if isinstance(each, Row):
            break
    else:
        reason = f": {ahead[0].reason}" if ahead and isinstance(ahead[0], LeftOut) else ""
        where = f"{path}:{ahead[0].line}" if ahead else str(path)
        raise DataError(f"no row can be read{reason}", where, "check the path and the format")
    first = ahead[-1]
    value = first.value if isinstance(first, Row) else {}
    form = FORMATS[named] if named else next((each for each in FORMATS.values() if each.fits(value)), None)
    if form is None:
        keys = ", ".join(map(repr, value)) or "none"
        hint = f"name it with --format: {', '.join(FORMATS)}. Eval sets and training files need no import"
        raise DataError(f"unknown format; the keys of the first row: {keys}", f"{path}:{first.line}", hint)
    if not form.fits(value):
        keys = ", ".join(map(repr, value)) or "none"
        hint = did_you_mean(next((each.name for each in FORMATS.values() if each.fits(value)), ""), FORMATS)
        raise DataError(f"not {form.title}; the keys of the first row: {keys}", f"{path}:{first.line}", hint)
    return form, chain(ahead, source)


def _unwrapped(value: object, path: Path) -> Iterator[Row | LeftOut]:
    key = next(
        (each for each in ("data", "samples") if isinstance(value, dict) and isinstance(value.get(each), list)), ""
    )
    if isinstance(value, dict) and key:
        # Inspect's logs say once for all samples which model answered.
        shared = {"eval": value.get("eval")} if key == "samples" else {}
        for number, item in enumerate(value[key], 1):
            if not isinstance(item, dict):
                raise DataError(f"{key}[{number - 1}] is not an object", str(path), "each row is an object")
            yield Row(str(path), number, {**item, **shared})
        if value.get("has_more") is True:
            yield LeftOut(len(value[key]) + 1, "has_more is true: the file is one page of a list; fetch the others")
    else:
        yield _object(value, path)


def _object(value: object, path: Path) -> Row:
    if not isinstance(value, dict):
        raise DataError("the file does not hold an object", str(path), "see docs/import.md for the files that are read")
    return Row(str(path), 1, value)


def _bytes(path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            hint = "write it as JSONL, which is read row by row"
            raise DataError(f"larger than {most >> 20} MiB", str(path), hint)
        return path.read_bytes().removeprefix(UTF8_BOM)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check path and permissions") from error


def _text(path: Path, most: int = _MOST_BYTES) -> str:
    try:
        return _bytes(path, most).decode()
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8", str(path), "save it as UTF-8") from error


def _document(path: Path) -> object:
    """The value of a JSON file, in which the output items of a dump of OpenAI's Evals are read from a file."""
    with ExitStack() as stack, suppress(OSError):
        items = OutputItems(stack.enter_context(tempfile.TemporaryFile()))
        value = _json(path, items.keep)
        if not items.kept:
            return value
        if items.put_into(value):
            # Closed when its last item was read.
            stack.pop_all()
            return value
    return _json(path)


def _json(path: Path, keep: Callable[[dict[str, Any]], Any] | None = None) -> object:
    text = _text(path)
    try:
        return parse_json(text, keep)
    except JsonFault as fault:
        line = "" if fault.position is None else f":{text.count(_NEWLINE, 0, fault.position) + 1}"
        raise DataError(f"not strict JSON: {fault.problem}", f"{path}{line}", "is the file complete?") from fault


def _yaml(path: Path) -> object:
    try:
        from yaml import YAMLError

        from pytest_finetune.lifecycle.importing.yaml12 import load_yaml
    except ImportError:
        raise DataError("YAML needs PyYAML", str(path), "pip install 'pytest-finetune[import]'") from None
    try:
        return load_yaml(_text(path, _MOST_YAML))
    except (YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        where = f"{path}:{place.line + 1}" if place else str(path)
        raise DataError(f"not YAML: {getattr(error, 'problem', error)}", where, "is the file complete?") from error


def _has_objects_in_lines(path: Path) -> bool:
    """Whether a .json file is JSON Lines, as those of BFCL and of many data sets are: its first line is an object."""
    with path.open("rb") as file:
        first = file.readline(MAX_LINE_BYTES)
        if not file.readline(MAX_LINE_BYTES).strip():
            return False
    try:
        return isinstance(parse_json(first.removeprefix(UTF8_BOM).decode()), dict)
    except (JsonFault, UnicodeDecodeError):
        return False


def _starts_with(path: Path, mark: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).removeprefix(UTF8_BOM).lstrip().startswith(mark)
    except OSError:
        return False
