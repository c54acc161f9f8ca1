"""`pytest-finetune data check`: finds problems in training, validation and eval files, and across them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.text import printable
from pytest_finetune.cli.data.production import load_production
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source, shape_option
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.codes import codes_wanted
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.fix import write_fixed
from pytest_finetune.lifecycle.data.limits import example_limit
from pytest_finetune.lifecycle.data.near_duplicates import SIMILARITY
from pytest_finetune.lifecycle.data.personal import REGIONS
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, refuse_pipe
from pytest_finetune.lifecycle.data.writing import refuse_existing, refuse_own_source
from pytest_finetune.reports.findings import FEW, check_json, check_lines, fixed_json, fixed_lines
from pytest_finetune.verdicts.evalset.discovery import eval_set_name

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.fix import Fixed
    from pytest_finetune.lifecycle.data.production import Production
    from pytest_finetune.verdicts.json_schema.validation import Schema

FILE = Source(exists=True)


def _names(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001
    """`a,b` and `c` are three names."""
    return tuple(name.strip() for each in value for name in each.split(",") if name.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arguments:
    """The arguments and options of the command."""

    files: tuple[Path, ...]
    shape: str
    training: tuple[Path, ...]
    validation: tuple[Path, ...]
    evals: tuple[Path, ...]
    model: str
    max_tokens: int | None
    labels: tuple[str, ...]
    label_by: str
    schema: Path | None
    similarity: float
    regions: tuple[str, ...]
    registry: str | None
    production_request: Path | None
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    fail_on: str
    target: Path | None
    force: bool
    max_line_bytes: int
    verbose: bool
    as_json: bool

    @property
    def named(self) -> tuple[Path, ...]:
        """The training files, each once."""
        return tuple(dict.fromkeys((*self.files, *self.training)))


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
@as_one(_Arguments)
def command(arguments: _Arguments) -> None:
    """Check training, validation and eval files for problems.

    Files are JSONL in OpenAI's chat format; rows of other shapes are checked too, and reported. Eval sets may use any
    supported format. Each finding has a code (see docs/data.md), a severity and a location. Secrets are masked.

    --fix takes one training file and writes a copy without broken lines and exact duplicates and with trimmed
    answers. Everything else is unchanged.
    """
    _refuse_misuse(arguments)
    root = Path.cwd()
    options, eval_sets = _options(arguments), _eval_sets(arguments.evals, root)
    result = check(
        arguments.named,
        validation=arguments.validation,
        evals=eval_sets,
        options=replace(options, production=_production(arguments, [eval_set_name(path, root) for path in eval_sets])),
        root=root,
        watch=lambda rows: watched(rows, "checked"),
    )
    fixed = _write_fixed(arguments, root)
    if arguments.as_json:
        print_json(check_json(result) | ({"fixed": fixed_json(fixed[1], fixed[0], result)} if fixed else {}))
    else:
        print_lines(check_lines(result, show=None if arguments.verbose else FEW))
        print_lines(fixed_lines(fixed[1], fixed[0], result) if fixed else ())
    sys.exit(1 if result.worst is not None and result.worst >= Severity[arguments.fail_on.upper()] else 0)


def _options(arguments: _Arguments) -> CheckOptions:
    return CheckOptions(
        codes=codes_wanted(arguments.select, arguments.ignore),
        model=arguments.model,
        max_tokens=arguments.max_tokens,
        labels=arguments.labels,
        label_by=arguments.label_by,
        schema=_schema(arguments.schema),
        similarity=arguments.similarity,
        regions=arguments.regions or REGIONS,
        max_line_bytes=arguments.max_line_bytes,
        shape=arguments.shape,
    )


def _production(arguments: _Arguments, names: list[str]) -> Production | None:
    """What production sends; what could not be compared or checked is noted on stderr."""
    production, notes = load_production(arguments.registry, arguments.production_request, names)
    if arguments.model and arguments.max_tokens is None and example_limit(arguments.model) is None:
        notes = (f"tokens not checked: the limit of {arguments.model} is unknown; set it with --max-tokens", *notes)
    for note in notes:
        click.echo(printable(note), err=True)
    return production


def _write_fixed(arguments: _Arguments, root: Path) -> tuple[Path, Fixed] | None:
    if arguments.target is None:
        return None
    source = arguments.named[0]
    fixed = write_fixed(
        source,
        arguments.target,
        force=arguments.force,
        name=eval_set_name(source, root),
        max_line_bytes=arguments.max_line_bytes,
        shape=arguments.shape,
    )
    return arguments.target, fixed


def _eval_sets(named: tuple[Path, ...], root: Path) -> list[Path]:
    return list(dict.fromkeys(found for path in named for found in eval_set_files(path, root)))


def _schema(path: Path | None) -> Schema | None:
    if path is None:
        return None
    from pytest_finetune.verdicts.json_schema.validation import load_schema

    return load_schema(path)


def _refuse_misuse(arguments: _Arguments) -> None:
    """Refuse before the check, which may take minutes, what would be refused after it."""
    if not (arguments.named or arguments.validation or arguments.evals):
        raise click.UsageError("name a training file, --validation or --eval")
    if arguments.target is None:
        return
    if len(arguments.named) != 1:
        raise click.UsageError("--fix takes exactly one training file")
    refuse_pipe(arguments.named[0])
    refuse_own_source(arguments.named[0], [arguments.target])
    refuse_existing(arguments.target, force=arguments.force)
