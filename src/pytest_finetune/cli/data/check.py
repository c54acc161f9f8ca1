"""`pytest-finetune data check`: everything in training, validation and eval files that would hurt, found together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.text import printable
from pytest_finetune.cli.data.production import known_production
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.runs import print_json, print_lines
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
    from pytest_finetune.lifecycle.data.fix import Fixed
    from pytest_finetune.lifecycle.data.honesty import Production

FILE = Source(exists=True)


def _names(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001
    """`a,b` and `c` are three names."""
    return tuple(name.strip() for each in value for name in each.split(",") if name.strip())


@click.command("check")
@click.argument("files", nargs=-1, type=FILE, metavar="[TRAINING_FILE]...")
@click.option("--train", "training", multiple=True, type=FILE, help="A training file; the same as naming it outright.")
@click.option("--validation", multiple=True, type=FILE, help="A validation file; repeatable.")
@click.option(
    "--eval",
    "evals",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="An eval set, or a folder of them; repeatable. The data is held against its settings.",
)
@click.option("--model", default="", metavar="NAME", help="The model to be trained: its tokenizer and limit count.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens of one example.  [default: the model's limit]")
@click.option("--labels", multiple=True, callback=_names, metavar="A,B,…", help="The allowed answers.")
@click.option("--label-by", default="", metavar="KEY", help="The label is this key of a JSON answer.")
@click.option("--schema", type=FILE, help="JSON Schema that every answer must satisfy.")
@click.option(
    "--similarity",
    type=click.FloatRange(0.5, 1, min_open=False),
    default=SIMILARITY,
    show_default=True,
    help="Share of letters that near duplicates have in common.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    callback=_names,
    metavar="CC",
    help=f"Country whose phone numbers are known without +CC; repeatable.  [default: {', '.join(REGIONS)}]",
)
@click.option("--registry", default=None, metavar="PATH|mlflow:URI", help="Compare with the version in production.")
@click.option("--production-request", type=FILE, help="JSON file with one request as production sends it.")
@click.option("--select", multiple=True, callback=_names, metavar="CODE,…", help="Look for these codes or groups only.")
@click.option("--ignore", multiple=True, callback=_names, metavar="CODE,…", help="Leave these codes or groups out.")
@click.option(
    "--fail-on",
    type=click.Choice([severity.word for severity in sorted(Severity, reverse=True)]),
    default=Severity.ERROR.word,
    show_default=True,
    help="The least severity that makes the exit code 1.",
)
@click.option("--fix", "target", type=click.Path(path_type=Path), metavar="OUT", help="Write what is safe to mend.")
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@click.option("--max-line-bytes", type=click.IntRange(min=1000), default=MAX_LINE_BYTES, show_default=True, hidden=True)
@click.option("-v", "--verbose", is_flag=True, help=f"Show all places, not the first {FEW} of each code.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(files: tuple[Path, ...], training: tuple[Path, ...], *, verbose: bool, as_json: bool, **how: Any) -> None:
    """Check training, validation and eval files together, before a training is paid for.

    Files are JSONL in OpenAI's chat format; eval sets may have any of their shapes. Findings have a code, which
    docs/data.md explains, a severity and a place. No secret is shown whole. --fix takes one training file and writes
    OUT, a new file without broken lines and exact duplicates and with trimmed answers; all else is left as it is.

    \b
    Exit codes:
      0  nothing of the severity --fail-on or worse was found
      1  something was
      2  a file is not there, or an option cannot be followed
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    named = tuple(dict.fromkeys((*files, *training)))
    if not (named or how["validation"] or how["evals"]):
        raise click.UsageError("name a training file, --validation or --eval")
    if how["target"] is not None and len(named) != 1:
        raise click.UsageError("--fix takes exactly one training file")
    if how["target"] is not None:
        _refuse_target(named[0], how["target"], force=how["force"])
    if how["model"] and how["max_tokens"] is None and example_limit(how["model"]) is None:
        click.echo(f"tokens are not checked: how many {how['model']} takes is not known; say --max-tokens", err=True)
    root = Path.cwd()
    evals = _eval_sets(how["evals"], root)
    names = [eval_set_name(path, root) for path in evals]
    production, unknown = known_production(how["registry"], how["production_request"], names)
    for sentence in unknown:
        click.echo(printable(sentence), err=True)
    result = check(
        named,
        validation=how["validation"],
        evals=evals,
        options=_options(how, production),
        root=root,
        watch=lambda rows: watched(rows, "checked"),
    )
    fixed = None if how["target"] is None else _fix(named[0], root, how)
    if as_json:
        print_json(check_json(result) | ({} if fixed is None else {"fixed": fixed_json(fixed, how["target"], result)}))
    else:
        print_lines(check_lines(result, show=None if verbose else FEW))
        print_lines(() if fixed is None else fixed_lines(fixed, how["target"], result))
    sys.exit(1 if result.worst is not None and result.worst >= Severity[how["fail_on"].upper()] else 0)


def _eval_sets(named: tuple[Path, ...], root: Path) -> list[Path]:
    return list(dict.fromkeys(found for path in named for found in eval_set_files(path, root)))


def _options(how: dict[str, Any], production: Production | None) -> CheckOptions:
    from pytest_finetune.verdicts.json_schema.validation import load_schema

    return CheckOptions(
        codes=codes_wanted(how["select"], how["ignore"]),
        model=how["model"],
        max_tokens=how["max_tokens"],
        labels=how["labels"],
        label_by=how["label_by"],
        schema=None if how["schema"] is None else load_schema(how["schema"]),
        similarity=how["similarity"],
        regions=how["regions"] or REGIONS,
        production=production,
        max_line_bytes=how["max_line_bytes"],
    )


def _refuse_target(source: Path, target: Path, *, force: bool) -> None:
    """What would be refused after the check is refused before it, which may take a while."""
    refuse_pipe(source)
    refuse_own_source(source, [target])
    refuse_existing(target, force=force)


def _fix(source: Path, root: Path, how: dict[str, Any]) -> Fixed:
    name, limit = eval_set_name(source, root), how["max_line_bytes"]
    return write_fixed(source, how["target"], force=how["force"], name=name, max_line_bytes=limit)
