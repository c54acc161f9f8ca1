"""`pytest-finetune import`: eval sets and recorded answers of other tools."""

from __future__ import annotations

import gc
import marshal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import DataError, RunError
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import ProgressLine, json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import runs_dir
from pytest_finetune.lifecycle.data.raw_rows import LeftOut
from pytest_finetune.lifecycle.importing.foreign import ImportOptions
from pytest_finetune.lifecycle.importing.imported import import_file
from pytest_finetune.lifecycle.importing.recording import record_answers
from pytest_finetune.lifecycle.importing.source import FORMATS, read_definition, read_source
from pytest_finetune.reports.imported import imported_json, imported_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.lifecycle.importing.imported_records import Imported
    from pytest_finetune.lifecycle.importing.recording import RecordedRun

_FILE = click.Path(path_type=Path)


@exit_codes(
    "0  everything was carried over",
    "1  some rows or graders were not; each is reported with the reason",
    "2  error; nothing was written, unless the message says so",
)
@click.command("import")
@click.argument("source", type=_FILE)
@click.option(
    "-o", "--output", "target", type=_FILE, help="Eval set to write.  [default: eval_sets/ and the name of SOURCE]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    metavar="NAME",
    help=f"Format of SOURCE: {', '.join(FORMATS)}.  [default: by its keys]",
)
@click.option(
    "--config", type=_FILE, help="JSON or YAML file with the eval's definition: testing_criteria, data_source."
)
@click.option(
    "--with",
    "other",
    type=_FILE,
    help="File that belongs to SOURCE: the requests of a batch, or the possible answers of BFCL.",
)
@click.option("--prompt", default="", metavar="TEMPLATE", help="User message, such as '{{ item.question }}'.")
@click.option(
    "--expected",
    default="",
    metavar="TEMPLATE",
    help="Expected answer, such as '{{ item.label }}', or 'recorded' for the recorded one.",
)
@click.option("--choices", is_flag=True, help="Add the choices of multiple-choice cases to the prompt.")
@click.option("--no-runs", is_flag=True, help="Do not record the answers in SOURCE as runs.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@runs_dir
@json_option
def command(
    source: Path,
    *,
    target: Path | None,
    form: str | None,
    config: Path | None,
    other: Path | None,
    prompt: str,
    expected: str,
    choices: bool,
    no_runs: bool,
    force: bool,
    store: RunStore,
    as_json: bool,
) -> None:
    """Turn files of other evaluation tools into eval sets and runs.

    SOURCE is a JSONL, JSON, CSV, TSV or YAML file, or a log of Inspect (.eval). The eval set gets its settings in a
    TOML file next to it.

    Recorded answers in SOURCE become runs, one for each run of the source: compare a new model with them by
    `--baseline=replay:RUN`, or score them again with `pytest --model=replay:RUN`. A version cannot be promoted on them.

    In a template, `item` is the row, or its item in files of OpenAI's Evals.
    """
    options = ImportOptions(
        prompt=prompt,
        expected=expected,
        choices=choices,
        config=read_definition(config) if config else {},
        others=_by_id(other) if other else {},
    )
    target = target or Path("eval_sets", f"{source.stem}.jsonl")
    with _without_garbage_collection():
        imported = import_file(source, options, target=target, form=form or "", force=force)
        runs = [] if no_runs else _recorded(imported, store)
    if as_json:
        print_json(imported_json(imported, runs))
    else:
        print_lines(imported_lines(imported, runs))
    sys.exit(1 if imported.skipped.count or imported.findings.not_carried else 0)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    # What is read is kept until the end, and the collector would walk all of it again and again: a fifth of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _recorded(imported: Imported, store: RunStore) -> list[RecordedRun]:
    line = ProgressLine("recorded answers")
    try:
        return list(record_answers(imported, store=store, root=Path.cwd(), progress=line.show))
    except RunError as error:
        problem = f"{imported.target} was written, but its answers were not all recorded: {error.problem}"
        raise RunError(problem, error.where, "make the folder writable, then import again with --force") from error
    finally:
        line.clear()


def _by_id(path: Path) -> dict[str, bytes]:
    """The rows of a batch's input file by their custom_id, or of BFCL's right answers by their id."""
    # Kept as bytes, which take a fraction of the memory.
    found: dict[str, bytes] = {}
    for row in read_source(path):
        if isinstance(row, LeftOut):
            raise DataError(row.reason, f"{path}:{row.line}", "is the file complete?")
        key = "id" if "ground_truth" in row.value else "custom_id"
        name = row.value.get(key)
        if not isinstance(name, str):
            hint = "--with takes the input file of a batch, or BFCL's possible answers"
            raise DataError(f"the row has no {key}", f"{path}:{row.line}", hint)
        if name in found:
            raise DataError(f"duplicate {key} {name!r}", f"{path}:{row.line}", "each row needs one of its own")
        try:
            found[name] = marshal.dumps(row.value)
        except ValueError:
            raise DataError("nested too deeply", f"{path}:{row.line}", "is this the right file?") from None
    return found
