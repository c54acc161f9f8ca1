"""Imports a foreign file: an eval set with its settings, and one recorded run for each model that answered it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.json_text import compact_json
from pytest_finetune.lifecycle.data.raw_rows import LeftOut
from pytest_finetune.lifecycle.data.writing import refuse_existing, refuse_own_source
from pytest_finetune.lifecycle.importing.case_writer import CaseWriter
from pytest_finetune.lifecycle.importing.imported_records import Imported
from pytest_finetune.lifecycle.importing.publishing import private_folder, publish
from pytest_finetune.lifecycle.importing.source import read_source, with_format
from pytest_finetune.lifecycle.importing.toml import settings_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Format, ImportOptions

_NO_GATES = """
# An eval set without gates requires every case to pass. Write down what this model must reach:
# [[gates]]
# metric = "accuracy"
# min = 0.9
# confidence = 0.95
"""


def import_file(source: Path, options: ImportOptions, *, target: Path, form: str = "", force: bool = False) -> Imported:
    """
    Write a foreign file as an eval set: both files appear, valid, or none.

    Args:
        source: JSONL, JSON, CSV or YAML.
        options: How rows become cases.
        target: The eval set to write, `NAME.jsonl`; its settings are written next to it.
        form: Name of the format; empty finds it by the first row.
        force: Overwrite existing files.

    Raises:
        DataError: The source cannot be read, no row can be carried over, or the target cannot be written.
    """
    if target.suffix != ".jsonl":
        raise DataError("an eval set is a .jsonl file", str(target), f"write {target.with_suffix('.jsonl').name}")
    imported = Imported(source, target)
    refuse_own_source(source, [target, imported.settings_file])
    for path in (target, imported.settings_file, imported.schema_file):
        refuse_existing(path, force=force)
    found, rows = with_format(read_source(source), source, form)
    imported.format = found.name
    _refuse_unused(options, found)
    with private_folder(target) as folder:
        written = folder / target.name
        with written.open("wb") as file:
            writer = CaseWriter(file, imported)
            skip = lambda line, reason: imported.skipped.add(LeftOut(line, reason))  # noqa: E731 - one call
            for case in found.read(_only_rows(rows, imported), options, imported.findings, skip):
                writer.write(case)
        if not imported.cases:
            raise imported.skipped.nothing_left(source)
        writer.complete_settings()
        if imported.findings.schema is not None:
            schema = compact_json(imported.findings.schema).encode()
            (folder / imported.schema_file.name).write_bytes(schema + b"\n")
            imported.findings.settings["schema"] = imported.schema_file.name
        lines = [f"# Imported from {source.name} ({found.title}).", *settings_toml(imported.findings.settings)]
        lines += _write_graders(imported, folder, force=force)
        written.with_suffix(".toml").write_text("\n".join(lines) + "\n" + _NO_GATES, encoding="utf-8")
        imported.eval_set = publish(folder, target, writer.read)
    return imported


def _write_graders(imported: Imported, folder: Path, *, force: bool) -> Iterator[str]:
    """Write the Python graders into the folder; yields the comments of the settings that say how to use them."""
    for grader in imported.findings.python_graders:
        module = grader.module(imported.target.stem)
        path = imported.target.with_name(f"{module}.py")
        refuse_existing(path, force=force)
        (folder / path.name).write_text(grader.code(imported.target.name), encoding="utf-8")
        use = f'scorer = "{module}:passes"'
        imported.findings.note(
            f"the Python grader {grader.name!r} is in {path} and was not run; read it, then set {use}"
        )
        yield f"# The Python grader {grader.name!r}, once you have read {path.name}: {use}"


def _refuse_unused(options: ImportOptions, form: Format) -> None:
    for name, flag in _FLAGS.items():
        if getattr(options, name) and name not in form.options:
            raise DataError(f"{flag} has no use here: the file is {form.title}", "", "leave it out")


_FLAGS = {
    "prompt": "--prompt",
    "expected": "--expected",
    "config": "--config",
    "choices": "--choices",
    "others": "--with",
}


def _only_rows(rows: Iterator[Row | LeftOut], imported: Imported) -> Iterator[Row]:
    for each in rows:
        if isinstance(each, LeftOut):
            imported.skipped.add(each)
        else:
            yield each
