"""`pytest-finetune gates`: whether gates would catch what they are there for, found out before a model is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.selftest import check_gates
from pytest_finetune.verdicts.selftest.report import report_lines, report_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.selftest import SetCheck


@click.group("gates")
def command() -> None:
    """Try the gates of eval sets."""


@command.command()
@click.argument("eval_sets", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the table.")
@click.pass_context
def check(ctx: click.Context, eval_sets: tuple[Path, ...], *, as_json: bool) -> None:
    """
    Plant bad answers into a perfect run and show at what damage each gate stops passing.

    EVAL_SETS are .jsonl files, or folders that hold them (default: eval_sets). No model is asked; the set's own
    scorer judges what is planted: empty, fenced, truncated and mistyped answers, those of other cases, and more.

    Exit codes: 0 every gate that was tried is tripped by something, 1 a gate is not, or does not pass a run
    without a fault, 2 an eval set cannot be used, or no gate could be tried.
    """
    root = Path.cwd()
    files = {path: None for named in eval_sets or (Path("eval_sets"),) for path in eval_set_files(named, root)}
    checks = [check_gates(eval_set) for eval_set in load_eval_sets(list(files), root=root)]
    if as_json:
        click.echo(json.dumps(report_values(checks), ensure_ascii=False, indent=1))
    else:
        click.echo("\n".join(report_lines(checks)))
    ctx.exit(_exit_code(checks))


def _exit_code(checks: Sequence[SetCheck]) -> int:
    if any(check.findings for check in checks):
        return 1
    return 0 if any(check.tried for check in checks) else 2
