"""`pytest-finetune data prepare`: converts raw records to training examples."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path

import click

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source, shape_option
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.lifecycle.data.columns import FIELDS, read_mapping
from pytest_finetune.lifecycle.data.prepare import PrepareOptions, write_prepared
from pytest_finetune.lifecycle.data.raw_rows import FORMATS, format_of, read_raw
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES
from pytest_finetune.reports.prepared import prepared_json, prepared_lines
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM


def _encoding(context: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    try:
        name = codecs.lookup(value).name
    except LookupError:
        raise click.BadParameter(f"{value!r} is not a known encoding") from None
    # A byte order mark would become part of the first column's name.
    return "utf-8-sig" if name == "utf-8" else name


def _delimiter(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
    delimiter = {"\\t": "\t", "tab": "\t"}.get(value or "", value)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.BadParameter(f"{value!r} is not one character, or tab")
    return delimiter


@exit_codes(
    "0  every record was written",
    "1  some records were skipped; each is reported with its line",
    "2  error; nothing was written",
)
@click.command("prepare")
@click.argument("source", type=Source())
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(set(FORMATS.values()))),
    help="Format of SOURCE.  [default: by its suffix]",
)
@shape_option
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="FIELD=COLUMN",
    help=f"Column of a field, or two joined: ONE+OTHER; repeatable. Fields: {', '.join(FIELDS)}.",
)
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave out a column; repeatable.")
@click.option("--system", metavar="TEXT|@FILE", help="System prompt for every example; replaces existing ones.")
@click.option("--json-output", is_flag=True, help="Require every answer to be JSON, and write it in canonical form.")
@click.option("--schema", type=click.Path(path_type=Path), help="JSON Schema that sets the key order of JSON answers.")
@click.option("--keep", is_flag=True, help="Keep the fields id, tags, metadata, group and accept.")
@click.option(
    "--encoding", default="utf-8", show_default=True, callback=_encoding, help="Encoding of CSV, TSV and JSON."
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    callback=_delimiter,
    help="Separator of cells in CSV, such as ; or tab.  [default: the header's]",
)
@click.option(
    "--max-line-bytes",
    "limit",
    type=click.IntRange(min=1000),
    default=MAX_LINE_BYTES,
    show_default=True,
    help="Skip records longer than this.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing output file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, including every skipped record.")
def command(
    source: Path,
    *,
    target: Path,
    form: str | None,
    shape: str,
    pairs: tuple[str, ...],
    drop: tuple[str, ...],
    system: str | None,
    json_output: bool,
    schema: Path | None,
    keep: bool,
    encoding: str,
    delimiter: str | None,
    limit: int,
    force: bool,
    as_json: bool,
) -> None:
    """Convert raw records to training examples in OpenAI's chat format.

    SOURCE is a JSONL, JSON, CSV or TSV file of any size. The shape of a record is found by its columns: chat,
    input/output, Alpaca, ShareGPT, xLAM, prompt/completion, preferences or reinforcement. Use --map for other column
    names. Preferences and reinforcement rows are written in OpenAI's format for them. A column that would be lost is
    an error, unless it is left out with --drop.

    Answers that are JSON objects or lists are written without whitespace and with a consistent key order: the order
    in --schema, then the order of first appearance. The output file is written atomically.
    """
    options = PrepareOptions(
        columns=read_mapping(pairs),
        system=_system(system),
        json_output=json_output,
        schema=_schema(schema),
        keep=keep,
        shape=shape,
        drop=frozenset(drop),
    )
    records = read_raw(source, form=form or format_of(source), encoding=encoding, delimiter=delimiter, limit=limit)
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
        raise DataError("the system prompt is empty", "--system", "omit the option, or describe the task")
    return text


def _schema(path: Path | None) -> object:
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
        raise DataError(f"{path} cannot be read: {error.strerror}", option, "check path and permissions") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8", option, "save it as UTF-8") from error
