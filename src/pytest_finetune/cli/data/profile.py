"""`pytest-finetune data profile`: summarizes a training file, in the terminal or as an HTML page."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source, shape_option
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.lifecycle.data.chat_rows import chat_rows
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.profile import Profiler
from pytest_finetune.lifecycle.data.raw_rows import LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.rows import refuse_pipe
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.lifecycle.data.writing import new_files, refuse_existing, refuse_own_source
from pytest_finetune.reports.data_profile import profile_json, profile_lines
from pytest_finetune.reports.data_profile_page import profile_page
from pytest_finetune.reports.prepared import left_out_lines


@exit_codes("0  success", "1  success, but lines were skipped", "2  error")
@click.command("profile")
@click.argument("source", type=Source())
@shape_option
@click.option("--model", default="gpt-4.1", show_default=True, help="Model whose tokenizer counts tokens.")
@click.option("--label-by", default="", metavar="KEY", help="Key of a JSON answer to use as the label.")
@click.option("-o", "--output", "page", type=click.Path(path_type=Path), help="Also write an HTML page.")
@click.option("--no-check", is_flag=True, help="Skip the data check, which takes most of the time.")
@click.option("--force", is_flag=True, help="Overwrite an existing page.")
@json_option
def command(
    source: Path,
    *,
    shape: str,
    model: str,
    label_by: str,
    page: Path | None,
    no_check: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Summarize lengths, tokens, labels, languages and findings.

    SOURCE is a JSONL file of training data. Languages are detected from the prompt; short texts and names are often
    undecided.
    """
    if page is not None:
        refuse_own_source(source, [page])
        refuse_existing(page, force=force)
    if not no_check:
        refuse_pipe(source)
    profiler, left_out = Profiler(tokenizer_for(model), label_by), LeftOuts()
    for _, row in chat_rows(watched(read_jsonl(source), "measured"), left_out, shape=shape):
        profiler.add(row)
    profile = profiler.profile()
    if not profile.rows:
        raise left_out.nothing_left(source)
    findings = (
        None if no_check else check([source], options=CheckOptions(model=model, label_by=label_by, shape=shape)).by_code
    )
    if page is not None:
        with new_files([page], force=force) as (file,):
            file.write(profile_page(profile, findings, source).encode())
    if as_json:
        print_json(profile_json(profile, findings, left_out, source))
    else:
        print_lines(left_out_lines(source, left_out, what="line"))
        print_lines(profile_lines(profile, findings, source))
        if page is not None:
            print_lines([(f"page: {page}", {})])
    sys.exit(1 if left_out.count else 0)
