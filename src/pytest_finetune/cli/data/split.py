"""`pytest-finetune data split`: one file of rows to training, validation and test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source
from pytest_finetune.cli.runs import json_option, print_json, print_lines
from pytest_finetune.lifecycle.data.split import SplitOptions
from pytest_finetune.lifecycle.data.split_files import split_file
from pytest_finetune.reports.split import sides_asked, split_json, split_lines

_share = click.FloatRange(0, 1, max_open=True)


@click.command("split")
@click.argument("source", type=Source())
@click.option("--validation", type=_share, default=0.1, show_default=True, help="Share of the validation file.")
@click.option("--test", type=_share, default=0.0, show_default=True, help="Share of a test file.")
@click.option("--seed", default="0", show_default=True, help="Another one deals all rows anew.")
@click.option("--group-by", default="", metavar="KEY", help="Rows with the same value of this key stay together.")
@click.option("--label-by", default="", metavar="KEY", help="The label is this key of a JSON answer.")
@click.option("--stratify", is_flag=True, help="Give each label its exact share; added rows may then move others.")
@click.option("--exact-only", is_flag=True, help="Part near duplicates; keep only equal questions together.")
@click.option("-o", "--output", "stem", type=click.Path(path_type=Path), help="[default: SOURCE without .jsonl]")
@click.option("--force", is_flag=True, help="Replace the outputs if they are there.")
@json_option
def command(source: Path, *, stem: Path | None, exact_only: bool, force: bool, as_json: bool, **how: Any) -> None:
    """Deal the rows of a JSONL file out to OUTPUT.train.jsonl, OUTPUT.validation.jsonl and OUTPUT.test.jsonl.

    A row's side is decided by a hash of the seed and of what the model sees of the row: adding rows moves nobody, and
    shares are met about, not exactly. Rows that ask the same or nearly the same stay together, and so do rows of one
    group (a key of the row or of its metadata). Rows are copied as they stand.

    \b
    Exit codes:
      0  done
      1  done, but some lines are no rows and were left out, or a side got no row
      2  could not be done; nothing was written
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    if how["validation"] + how["test"] >= 1:
        raise click.UsageError("--validation and --test leave nothing for training")
    options = SplitOptions(**how, near=not exact_only)
    base = stem or source.with_suffix("") if source.suffix == ".jsonl" else stem or source
    targets = {side: base.with_name(f"{base.name}.{side}.jsonl") for side in sides_asked(options)}
    done = split_file(source, targets, options, force=force, watch=lambda rows: watched(rows, "read"))
    if as_json:
        print_json(split_json(done, source, options))
    else:
        print_lines(split_lines(done, source, options))
    empty = any(not done.split.rows[side] for side in targets)
    sys.exit(1 if done.left_out.count or empty else 0)
