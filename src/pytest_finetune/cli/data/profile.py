"""`pytest-finetune data profile`: what is in a training file, at the terminal and as a page."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source
from pytest_finetune.cli.runs import json_option, print_json, print_lines
from pytest_finetune.lifecycle.data.check import CheckOptions, check
from pytest_finetune.lifecycle.data.profile import Profiler
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.rows import refuse_pipe
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.lifecycle.data.writing import new_files, refuse_existing, refuse_own_source
from pytest_finetune.reports.data_profile import profile_json, profile_lines
from pytest_finetune.reports.data_profile_page import profile_page
from pytest_finetune.reports.prepared import left_out_lines


@click.command("profile")
@click.argument("source", type=Source())
@click.option("--model", default="gpt-4.1", show_default=True, help="Whose tokens are counted.")
@click.option("--label-by", default="", metavar="KEY", help="The label is this key of a JSON answer.")
@click.option("-o", "--output", "page", type=click.Path(path_type=Path), help="Write a page as well, one HTML file.")
@click.option("--no-check", is_flag=True, help="Leave the findings out, which take most of the time.")
@click.option("--force", is_flag=True, help="Replace the page if it is there.")
@json_option
def command(
    source: Path, *, model: str, label_by: str, page: Path | None, no_check: bool, force: bool, as_json: bool
) -> None:
    """Describe a JSONL file of training data: lengths, tokens, labels, prompts, languages, and findings by kind.

    A language is named where the question leaves little doubt, and is undecided elsewhere: short texts and names do.

    \b
    Exit codes:
      0  done
      1  done, but some lines are no rows
      2  could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    if page is not None:
        refuse_own_source(source, [page])
        refuse_existing(page, force=force)
    if not no_check:
        refuse_pipe(source)
    profiler, left_out = Profiler(tokenizer_for(model), label_by), LeftOuts()
    for each in watched(read_jsonl(source), "measured"):
        if isinstance(each, LeftOut):
            left_out.add(each)
        else:
            profiler.add(each.value)
    profile = profiler.profile()
    if not profile.rows:
        raise left_out.nothing_left(source)
    findings = None if no_check else check([source], options=CheckOptions(model=model, label_by=label_by)).by_code
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
