"""`pytest-finetune init`: a first eval set in one command."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.text import printable
from pytest_finetune.cli.data.source import shape_option
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.lifecycle.data.prepare import Prepared, PrepareOptions, prepare
from pytest_finetune.lifecycle.data.raw_rows import format_of, read_raw
from pytest_finetune.lifecycle.starting.eval_set_draft import draft_eval_set
from pytest_finetune.lifecycle.starting.examples import example_rows
from pytest_finetune.lifecycle.starting.kinds import ANSWER_KINDS
from pytest_finetune.lifecycle.starting.writing import write_draft

if TYPE_CHECKING:
    from typing import Any

    from pytest_finetune.lifecycle.starting.kinds import AnswerKind

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_SEED = 0


@exit_codes("0  written", "2  error; nothing was written")
@click.command("init")
@click.argument("name", default="")
@click.option(
    "--kind",
    type=click.Choice(ANSWER_KINDS),
    help="What the model answers with.  [default: found in --from, or prompted for]",
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSONL, JSON, CSV or TSV file with questions and answers to start from.",
)
@click.option("--cases", type=click.IntRange(min=1), default=200, show_default=True, help="Maximum rows of --from.")
@shape_option
@click.option("--yes", is_flag=True, help="Do not prompt; without --kind and --from, write an example with labels.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def command(
    name: str, *, kind: AnswerKind | None, source: Path | None, cases: int, shape: str, yes: bool, force: bool
) -> None:
    """Write a first eval set, from your own rows or from examples.

    NAME is the name of the set in the folder eval_sets. With --from, the cases are a random sample of your own rows, in
    any shape that `data prepare` reads: labels are found, a schema is drafted for JSON, and the gates suit the number
    of cases. Without, three example cases are written for you to replace.
    """
    name = name or (source.stem if source else "example")
    if not _NAME.fullmatch(name):
        raise DataError("not usable as a file name", name, "use letters, digits, - and _")
    if kind is None and source is None:
        kind = "label" if yes else _ask_kind()
    found = _rows(source, shape) if source else example_rows(kind or "label")
    chosen = set(random.Random(_SEED).sample(range(len(found)), min(cases, len(found))))  # noqa: S311 - sampling, not cryptography
    rows, others = ([row for at, row in enumerate(found) if (at in chosen) is taken] for taken in (True, False))
    draft = draft_eval_set(name, rows, kind, seen=others)
    written = write_draft(draft, Path.cwd() / "eval_sets", force=force)
    for path in written:
        click.echo(f"wrote {printable(str(path.relative_to(Path.cwd())))}")
    click.echo(f"{draft.cases:,} case{'' if draft.cases == 1 else 's'}, answers of kind {draft.kind}")
    if source:
        click.echo("keep these cases out of the training data: pytest-finetune data check TRAINING --eval eval_sets")
    click.echo(f"next: pytest --model=MODEL eval_sets/{name}.jsonl")


def _ask_kind() -> AnswerKind:
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"pass --kind ({', '.join(ANSWER_KINDS)}), --from FILE or --yes: stdin is not a terminal"
        )
    chosen: AnswerKind = click.prompt(
        "What does the model answer with?", type=click.Choice(ANSWER_KINDS), default="label"
    )
    return chosen


def _rows(source: Path, shape: str) -> list[dict[str, Any]]:
    """The rows of a file as chats, each question once."""
    prepared = Prepared()
    found = [
        row
        for row in prepare(read_raw(source, form=format_of(source)), PrepareOptions(shape=shape), prepared)
        if "messages" in row and row["messages"][-1]["role"] == "assistant"
    ]
    if not found:
        raise prepared.left_out.nothing_left(source)
    if prepared.left_out.count:
        click.echo(f"{prepared.left_out.count:,} rows of {printable(str(source))} cannot be used", err=True)
    return list({str(row["messages"][:-1]): row for row in found}.values())
