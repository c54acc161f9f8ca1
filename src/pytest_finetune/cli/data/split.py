"""`pytest-finetune data split`: splits one file into training, validation and test files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source, shape_option
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.lifecycle.data.split import SplitOptions
from pytest_finetune.lifecycle.data.split_files import split_file
from pytest_finetune.reports.split import sides_with_share, split_json, split_lines

_share = click.FloatRange(0, 1, max_open=True)


@exit_codes("0  success", "1  written, but lines were skipped or a file has no rows", "2  error; nothing was written")
@click.command("split")
@click.argument("source", type=Source())
@shape_option
@click.option("--validation", type=_share, default=0.1, show_default=True, help="Share of validation rows.")
@click.option("--test", type=_share, default=0.0, show_default=True, help="Share of test rows.")
@click.option("--seed", default="0", show_default=True, help="Seed of the assignment; changing it reassigns every row.")
@click.option("--group-by", default="", metavar="KEY", help="Keep rows with the same value of KEY together.")
@click.option("--label-by", default="", metavar="KEY", help="Key of a JSON answer to use as the label.")
@click.option("--stratify", is_flag=True, help="Give each label its exact share; adding rows may then move others.")
@click.option("--exact-only", is_flag=True, help="Keep only identical prompts together, not near duplicates.")
@click.option(
    "-o",
    "--output",
    "stem",
    type=click.Path(path_type=Path),
    help="Output prefix.  [default: SOURCE without .jsonl]",
)
@click.option("--force", is_flag=True, help="Overwrite existing output files.")
@json_option
def command(
    source: Path,
    *,
    shape: str,
    validation: float,
    test: float,
    seed: str,
    group_by: str,
    label_by: str,
    stratify: bool,
    exact_only: bool,
    stem: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Split a JSONL file into training, validation and test files.

    Writes OUTPUT.train.jsonl, OUTPUT.validation.jsonl and OUTPUT.test.jsonl.

    Rows are assigned by a hash of the seed and the prompt, so adding rows does not move existing ones and shares are
    approximate. Rows with identical or nearly identical prompts stay together, as do rows of one group (a key of the
    row or of its metadata). Rows are copied unchanged.
    """
    if validation + test >= 1:
        raise click.UsageError("--validation and --test must leave a share for training")
    options = SplitOptions(
        validation, test, seed, group_by, label_by, stratify=stratify, near=not exact_only, shape=shape
    )
    base = stem or source.with_suffix("") if source.suffix == ".jsonl" else stem or source
    targets = {side: base.with_name(f"{base.name}.{side}.jsonl") for side in sides_with_share(options)}
    done = split_file(source, targets, options, force=force, watch=lambda rows: watched(rows, "read"))
    if as_json:
        print_json(split_json(done, source, options))
    else:
        print_lines(split_lines(done, source, options))
    empty = any(not done.split.rows[side] for side in targets)
    sys.exit(1 if done.left_out.count or empty else 0)
