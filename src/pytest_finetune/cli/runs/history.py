"""`pytest-finetune runs history`: an eval set over all recorded runs."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import is_stream, write_file
from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import redact_option, runs_dir
from pytest_finetune.evaluation.runs.history_reading import set_history
from pytest_finetune.reports.history import case_lines, history_lines, known_cases
from pytest_finetune.reports.history_values import history_json, history_page_view

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.evaluation.runs.history import SetHistory


@exit_codes("0  success", "2  error")
@click.command()
@click.argument("eval_set")
@click.option("--case", metavar="ID", help="Show this case in every run, with its answers.")
@click.option("--model", default="", metavar="TEXT", help="Only runs of models whose name contains TEXT.")
@click.option(
    "--show", type=click.IntRange(min=0), default=10, show_default=True, help="Number of flaky and of lost cases shown."
)
@click.option("--all", "show_all", is_flag=True, help="Show all flaky and lost cases.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML page that works offline."
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@redact_option
@json_option
@runs_dir
def command(
    store: RunStore,
    eval_set: str,
    *,
    case: str | None,
    model: str,
    show: int,
    show_all: bool,
    output: Path | None,
    force: bool,
    redact: bool,
    as_json: bool,
) -> None:
    """Show an eval set over all runs: flaky and lost cases.

    The accuracy and the gates of each run come first. A case is flaky if it had other outcomes in runs of the same
    model, with the same settings, over the same cases. It is lost if it passed once and was wrong in every later run
    that asked it; runs of all models count, unless --model chooses some.
    """
    history = set_history(store, _name(store, eval_set), model=model)
    if case is not None and not history.of_case(case):
        close = get_close_matches(case, known_cases(history), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`--json` without --case lists flaky and lost cases"
        raise RunError(f"no run has a case {case!r}", history.eval_set, hint)
    if as_json:
        print_json(history_json(history, case or "", redact=redact))
    elif case is not None:
        print_lines(case_lines(history, case, redact=redact))
    else:
        print_lines(history_lines(history, show=None if show_all else show))
    if output:
        _write_page(history, output, force=force)


def _name(store: RunStore, eval_set: str) -> str:
    """The name of the eval set in runs, if a path to its file was typed: relative to the project."""
    project = store.root.resolve().parent.parent
    try:
        return Path(eval_set).resolve(strict=True).relative_to(project).as_posix()
    except (OSError, ValueError):
        return eval_set


def _write_page(history: SetHistory, output: Path, *, force: bool) -> None:
    from pytest_finetune.reports.page.document import rendered

    if output.exists() and not force and not is_stream(output):
        raise RunError("the file already exists", str(output), "choose another with -o, or overwrite it with --force")
    view = history_page_view(history)
    page = rendered("set-history.html", title=f"History of {view['set']}", view=view, served=False)
    try:
        write_file(output, page.encode())
    except OSError as error:
        hint = "choose a file in an existing folder"
        raise RunError(f"cannot write: {error.strerror}", str(output), hint) from error
    click.echo(f"wrote {printable(str(output))}", err=True)
