"""`pytest-finetune gates check`: how many bad answers it takes to fail each gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.eval_sets import eval_set_files, warn_of_copies
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.verdicts.loading import load_project_sets
from pytest_finetune.verdicts.selftest import check_gates
from pytest_finetune.verdicts.selftest.report import report_lines, report_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.selftest import SetCheck


@exit_codes(
    "0  every tested gate fails for some damage",
    "1  a gate never fails, or fails a perfect run",
    "2  error, or no gate could be tested",
)
@click.command("check")
@click.argument("eval_sets", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def command(ctx: click.Context, eval_sets: tuple[Path, ...], *, as_json: bool) -> None:
    """Show how many bad answers it takes to fail each gate.

    EVAL_SETS are .jsonl files or folders of them (default: eval_sets). No model is called: a perfect run is damaged
    with empty, fenced, truncated and mistyped answers, arbitrary text, one answer for all cases, and more, and the
    eval set's own scorer and gates judge the result. The damage that no gate catches is listed for each eval set.
    """
    root = Path.cwd()
    files = {path: None for named in eval_sets or (Path("eval_sets"),) for path in eval_set_files(named, root)}
    eval_sets_found = load_project_sets(list(files), root=root)
    checks = [check_gates(eval_set) for eval_set in eval_sets_found]
    if as_json:
        click.echo(json.dumps(report_values(checks), ensure_ascii=False, indent=1))
    else:
        click.echo("\n".join(report_lines(checks)))
    warn_of_copies(eval_sets_found)
    ctx.exit(_exit_code(checks))


def _exit_code(checks: Sequence[SetCheck]) -> int:
    if any(check.findings or check.protects_nothing for check in checks):
        return 1
    return 0 if any(check.tested for check in checks) else 2
