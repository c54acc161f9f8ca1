"""`pytest-finetune data prepare`: raw records to training examples."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import Any

import click

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source
from pytest_finetune.cli.runs import print_json, print_lines
from pytest_finetune.lifecycle.data.mapping import FIELDS, read_mapping
from pytest_finetune.lifecycle.data.prepare import PrepareOptions, write_prepared
from pytest_finetune.lifecycle.data.raw_rows import FORMATS, format_of, read_raw
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES
from pytest_finetune.reports.prepared import prepared_json, prepared_lines
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM


def _encoding(context: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    try:
        name = codecs.lookup(value).name
    except LookupError:
        raise click.BadParameter(f"{value!r} is no encoding") from None
    # A byte order mark is no part of the first column's name.
    return "utf-8-sig" if name == "utf-8" else name


@click.command("prepare")
@click.argument("source", type=Source())
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option(
    "--format", "form", type=click.Choice(sorted(set(FORMATS.values()))), help="[default: by SOURCE's ending]"
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="FIELD=COLUMN",
    help=f"Where a field stands; repeatable. Fields: {', '.join(FIELDS)}.",
)
@click.option("--system", metavar="TEXT|@FILE", help="System prompt of all examples, in place of their own.")
@click.option("--json-output", is_flag=True, help="All answers are JSON: write them canonically.")
@click.option("--schema", type=click.Path(path_type=Path), help="JSON Schema that gives the order of keys.")
@click.option("--keep", is_flag=True, help="Keep id, tags, metadata and group.")
@click.option("--encoding", default="utf-8", show_default=True, callback=_encoding, help="Of CSV, TSV and JSON.")
@click.option(
    "--max-line-bytes",
    "limit",
    type=click.IntRange(min=1000),
    default=MAX_LINE_BYTES,
    show_default=True,
    help="Longer records are not read.",
)
@click.option("--force", is_flag=True, help="Replace the output if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every record that was left out.")
def command(source: Path, target: Path, *, form: str | None, force: bool, as_json: bool, **how: Any) -> None:
    """Turn raw records into training examples in OpenAI's chat format.

    SOURCE is JSONL, a JSON array, CSV or TSV of any size. A record has the columns `input` and `output`, and
    `system_prompt` if there is one, or whatever --map names; records in chat format pass. Answers that are JSON
    objects or lists are written without white space and with one order of keys: that of --schema, then that in which
    keys were first met. The output is whole or not there.

    \b
    Exit codes:
      0  every record was written
      1  some were left out; each is told with its line
      2  nothing was written
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    options = PrepareOptions(
        columns=read_mapping(how["pairs"]),
        system=_system(how["system"]),
        json_output=how["json_output"],
        schema=_schema(how["schema"]),
        keep=how["keep"],
    )
    records = read_raw(source, form=form or format_of(source), encoding=how["encoding"], limit=how["limit"])
    prepared = write_prepared(watched(records, "prepared"), options, source=source, target=target, force=force)
    if as_json:
        print_json(prepared_json(prepared, source, target))
    else:
        print_lines(prepared_lines(prepared, source, target))
    sys.exit(1 if prepared.left_out.count else 0)


def _system(given: str | None) -> str | None:
    if given is None:
        return None
    text = _text(Path(given[1:]), "--system").rstrip("\r\n") if given.startswith("@") else given
    if not text.strip():
        raise DataError("the system prompt is empty", "--system", "leave it out, or say what the model should do")
    return text


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return parse_json(_text(path, "--schema"))
    except JsonFault as fault:
        raise DataError(f"not strict JSON: {fault.problem}", str(path), "it must be a JSON Schema") from fault


def _text(path: Path, option: str) -> str:
    try:
        return path.read_bytes().removeprefix(UTF8_BOM).decode()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", option, "check the path and the rights") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8", option, "save it as UTF-8") from error
