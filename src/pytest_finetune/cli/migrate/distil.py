"""`pytest-finetune migrate distil`: the recorded answers of a model as training data for its successor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import complete_runs, find_run, project_of, runs_dir
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.writing import new_files, refuse_existing
from pytest_finetune.lifecycle.migration.distil import distil, jsonl_of
from pytest_finetune.reports.findings import FEW, check_json, check_lines
from pytest_finetune.reports.migration import distilled_lines
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import RunStore


@exit_codes("0  written, and its check has no errors", "1  the check has errors", "2  error")
@click.command("distil")
@click.argument("run", shell_complete=complete_runs)
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--missed", is_flag=True, help="Also use answers that were judged wrong.")
@click.option("--eval-cases", is_flag=True, help="Also use cases of the project's own eval sets.")
@click.option("--force", is_flag=True, help="Overwrite OUTPUT.")
@runs_dir
@json_option
def command(
    store: RunStore, run: str, output: Path, *, missed: bool, eval_cases: bool, force: bool, as_json: bool
) -> None:
    """Turn the answers of a recorded run into training data.

    RUN is a run of the model that is shut down, over prompts that are not among the project's eval sets. The first
    complete answer that passed becomes an example, one per case. The file is then checked, as `data check` does.
    """
    refuse_existing(output, force=force)
    found = find_run(store, run)
    root = project_of(found)
    distilled = distil(found, root=root, missed_too=missed, eval_cases_too=eval_cases)
    if not distilled.rows:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in distilled.left_out.items())
        raise DataError(f"no answer can be used: {reasons}", found.id, "see `pytest-finetune runs show`, or --missed")
    with new_files([output], force=force) as (file,):
        file.write(jsonl_of(distilled))
    evals = [] if eval_cases else find_eval_sets([root], root=root, patterns=configured_patterns(root))
    result = check([output], evals=evals, options=CheckOptions(), root=Path.cwd())
    if as_json:
        print_json({"examples": len(distilled.rows), "left_out": dict(distilled.left_out), **check_json(result)})
    else:
        print_lines(distilled_lines(distilled, printable(str(output))))
        print_lines(check_lines(result, show=FEW))
    sys.exit(1 if result.worst is Severity.ERROR else 0)
