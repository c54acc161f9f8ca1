"""`pytest-finetune data check`: finds problems in training, validation and eval files, and across them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.text import printable
from pytest_finetune.cli.data.production import load_production
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source, shape_option
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.lifecycle.data.check import CheckOptions, check
from pytest_finetune.lifecycle.data.codes import codes_wanted
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.fix import write_fixed
from pytest_finetune.lifecycle.data.limits import example_limit
from pytest_finetune.lifecycle.data.near_duplicates import SIMILARITY
from pytest_finetune.lifecycle.data.personal import REGIONS
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, refuse_pipe
from pytest_finetune.lifecycle.data.writing import refuse_existing, refuse_own_source
from pytest_finetune.reports.findings import FEW, check_json, check_lines, fixed_json, fixed_lines
from pytest_finetune.verdicts.loading import eval_set_name

if TYPE_CHECKING:
    from pytest_finetune.verdicts.json_schema.validation import Schema

FILE = Source(exists=True)


def _names(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001
    """`a,b` and `c` are three names."""
    return tuple(name.strip() for each in value for name in each.split(",") if name.strip())


@exit_codes(
    "0  no finding of severity --fail-on or higher", "1  at least one such finding", "2  error, such as a missing file"
)
@click.command("check")
@click.argument("files", nargs=-1, type=FILE, metavar="[TRAINING_FILE]...")
@click.option("--train", "training", multiple=True, type=FILE, help="Training file; same as a positional argument.")
@click.option("--validation", multiple=True, type=FILE, help="Validation file; repeatable.")
@click.option(
    "--eval",
    "evals",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Eval set, or a folder of eval sets, to compare the data with; repeatable.",
)
@shape_option
@click.option("--model", default="", metavar="NAME", help="Model to be trained; sets tokenizer and token limit.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Token limit per example.  [default: the model's limit]")
@click.option("--labels", multiple=True, callback=_names, metavar="A,B,…", help="Allowed answers.")
@click.option("--label-by", default="", metavar="KEY", help="Key of a JSON answer to use as the label.")
@click.option("--schema", type=FILE, help="JSON Schema that every answer must satisfy.")
@click.option(
    "--similarity",
    type=click.FloatRange(0.5, 1, min_open=False),
    default=SIMILARITY,
    show_default=True,
    help="Minimum text similarity of near duplicates.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    callback=_names,
    metavar="CC",
    help=f"Country whose national phone numbers are detected; repeatable.  [default: {', '.join(REGIONS)}]",
)
@click.option(
    "--registry",
    default=None,
    metavar="PATH|mlflow:URI",
    help="Compare with this registry's production version.",
)
@click.option("--production-request", type=FILE, help="JSON file with one request body as sent in production.")
@click.option("--select", multiple=True, callback=_names, metavar="CODE,…", help="Report only these codes or groups.")
@click.option("--ignore", multiple=True, callback=_names, metavar="CODE,…", help="Ignore these codes or groups.")
@click.option(
    "--fail-on",
    type=click.Choice([severity.word for severity in sorted(Severity, reverse=True)]),
    default=Severity.ERROR.word,
    show_default=True,
    help="Lowest severity that sets exit code 1.",
)
@click.option(
    "--fix", "target", type=click.Path(path_type=Path), metavar="OUT", help="Write a copy with safe fixes applied."
)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@click.option("--max-line-bytes", type=click.IntRange(min=1000), default=MAX_LINE_BYTES, show_default=True, hidden=True)
@click.option("-v", "--verbose", is_flag=True, help=f"Show every location, not just the first {FEW} per code.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    files: tuple[Path, ...],
    *,
    shape: str,
    training: tuple[Path, ...],
    validation: tuple[Path, ...],
    evals: tuple[Path, ...],
    model: str,
    max_tokens: int | None,
    labels: tuple[str, ...],
    label_by: str,
    schema: Path | None,
    similarity: float,
    regions: tuple[str, ...],
    registry: str | None,
    production_request: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str,
    target: Path | None,
    force: bool,
    max_line_bytes: int,
    verbose: bool,
    as_json: bool,
) -> None:
    """Check training, validation and eval files for problems.

    Files are JSONL in OpenAI's chat format; rows of other shapes are checked too, and reported. Eval sets may use any
    supported format. Each finding has a code (see docs/data.md), a severity and a location. Secrets are masked.

    --fix takes one training file and writes a copy without broken lines and exact duplicates and with trimmed
    answers. Everything else is unchanged.
    """
    named = tuple(dict.fromkeys((*files, *training)))
    _refuse_misuse(named, (*validation, *evals), target, force=force)
    options = CheckOptions(
        codes=codes_wanted(select, ignore),
        model=model,
        max_tokens=max_tokens,
        labels=labels,
        label_by=label_by,
        schema=_schema(schema),
        similarity=similarity,
        regions=regions or REGIONS,
        max_line_bytes=max_line_bytes,
        shape=shape,
    )
    root = Path.cwd()
    eval_sets = _eval_sets(evals, root)
    production, notes = load_production(registry, production_request, [eval_set_name(path, root) for path in eval_sets])
    if model and max_tokens is None and example_limit(model) is None:
        notes = (f"tokens not checked: the limit of {model} is unknown; set it with --max-tokens", *notes)
    for note in notes:
        click.echo(printable(note), err=True)
    result = check(
        named,
        validation=validation,
        evals=eval_sets,
        options=replace(options, production=production),
        root=root,
        watch=lambda rows: watched(rows, "checked"),
    )
    fixed = None
    if target is not None:
        name = eval_set_name(named[0], root)
        written = write_fixed(named[0], target, force=force, name=name, max_line_bytes=max_line_bytes, shape=shape)
        fixed = target, written
    if as_json:
        print_json(check_json(result) | ({"fixed": fixed_json(fixed[1], fixed[0], result)} if fixed else {}))
    else:
        print_lines(check_lines(result, show=None if verbose else FEW))
        print_lines(fixed_lines(fixed[1], fixed[0], result) if fixed else ())
    sys.exit(1 if result.worst is not None and result.worst >= Severity[fail_on.upper()] else 0)


def _eval_sets(named: tuple[Path, ...], root: Path) -> list[Path]:
    return list(dict.fromkeys(found for path in named for found in eval_set_files(path, root)))


def _schema(path: Path | None) -> Schema | None:
    if path is None:
        return None
    from pytest_finetune.verdicts.json_schema.validation import load_schema

    return load_schema(path)


def _refuse_misuse(named: tuple[Path, ...], others: tuple[Path, ...], target: Path | None, *, force: bool) -> None:
    """Refuse before the check, which may take minutes, what would be refused after it."""
    if not (named or others):
        raise click.UsageError("name a training file, --validation or --eval")
    if target is None:
        return
    if len(named) != 1:
        raise click.UsageError("--fix takes exactly one training file")
    refuse_pipe(named[0])
    refuse_own_source(named[0], [target])
    refuse_existing(target, force=force)
