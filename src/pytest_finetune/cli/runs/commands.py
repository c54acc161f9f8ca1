"""`pytest-finetune runs list, show, compare, report`: recorded runs, read from their records alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import is_stream, write_file
from pytest_finetune.base.text import printable, shorten
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import complete_runs, find_run, project_of, redact_option, runs_dir
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.evaluation.runs.pairing import pair_runs
from pytest_finetune.reports.comparison import (
    answer_line,
    comparison_lines,
    not_compared_lines,
    pair_notes,
    redacted_answer_line,
)
from pytest_finetune.reports.comparison_json import pairing_to_json
from pytest_finetune.reports.runs import run_lines, run_summary_lines, run_totals, verdict_counts, why_stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.evaluation.runs.pairing import Pairing
    from pytest_finetune.reports.text import Line


@exit_codes("0  success", "2  error")
@click.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of runs.")
@json_option
@runs_dir
def list_runs(store: RunStore, count: int, as_json: bool) -> None:  # noqa: FBT001 - click calls by name
    """List runs, newest first."""
    folders = store.newest_first()
    if as_json:
        print_json([_listed(path) for path in folders[:count]])
        return
    if not folders:
        click.echo(f"no runs in {store.root}; evaluate a model first: pytest --model=…")
    for path in folders[:count]:
        print_lines(_list_lines(path))
    if len(folders) > count:
        click.echo(f"{len(folders) - count:,} older runs; -n {len(folders)} lists all")


@exit_codes("0  success", "2  error")
@click.command()
@click.argument("run", shell_complete=complete_runs)
@redact_option
@json_option
@runs_dir
def show(store: RunStore, run: str, *, redact: bool, as_json: bool) -> None:
    """Show one run: target, eval sets, verdicts, totals and versions.

    Prompts and answers are not shown. Use --redact to omit the server's error message if the run stopped early.
    """
    found = find_run(store, run)
    if as_json:
        derived = {
            "stopped": why_stopped(found.manifest, redact=redact),
            "seal_fault": found.seal_fault if found.manifest.closed else "",
            "path": str(found.path),
        }
        print_json({**found.manifest.model_dump(mode="json"), **derived})
    else:
        print_lines(run_lines(found, redact=redact))


@exit_codes(
    "0  B is not worse",
    "1  B is worse in at least one eval set",
    "2  error, or B is not worse but an eval set could not be compared",
)
@click.command()
@click.argument("a", shell_complete=complete_runs)
@click.argument("b", shell_complete=complete_runs)
@click.option(
    "--show", type=click.IntRange(min=0), default=10, show_default=True, help="Number of flipped cases to show."
)
@click.option("--all", "show_all", is_flag=True, help="Show all flipped cases.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence level; B is worse if p is below 1 minus this.",
)
@click.option("--open", "allow_open", is_flag=True, help="Accept unfinished runs; missing cases count as not passed.")
@redact_option
@json_option
@runs_dir
def compare(
    store: RunStore,
    a: str,
    b: str,
    *,
    show: int,
    show_all: bool,
    confidence: float,
    allow_open: bool,
    redact: bool,
    as_json: bool,
) -> None:
    """Compare run B with run A, case by case.

    Compares every eval set that both runs contain. A case is lost if it passed in A but not in B, and won if the
    reverse. With repeats, a case passes if every attempt passes. B is worse in an eval set if more cases are lost than
    won and the exact McNemar test gives p < 0.05 (1 minus --confidence); with cases in groups, a sign-flip test of the
    groups.
    """
    before, after = find_run(store, a), find_run(store, b)
    pairing = pair_runs(before, after, confidence=confidence, allow_open=allow_open)
    if as_json:
        print_json(pairing_to_json(before, after, pairing, redact=redact))
    else:
        print_lines(_compared_lines(before, after, pairing, None if show_all else show, redact=redact))
    sys.exit(1 if pairing.worse else 2 if pairing.refusals else 0)


@exit_codes("0  written, whatever the verdict", "2  error, for example an existing file without --force")
@click.command()
@click.argument("run", shell_complete=complete_runs)
@click.option("--against", metavar="RUN", help="Compare with this run, case by case, and show flipped cases.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@redact_option
@runs_dir
def report(store: RunStore, run: str, against: str | None, output: Path, *, force: bool, redact: bool) -> None:
    """Write a run as one HTML page that works offline.

    Verdicts are shown as they were when the run ended. Prompts come from the copies of the eval sets in the run, or
    from the current files if these are unchanged. Otherwise the page shows only ids and answers, with the reason.
    """
    from pytest_finetune.reports.page.document import page_html
    from pytest_finetune.reports.page.sections import headline
    from pytest_finetune.reports.sources import from_record

    if output.exists() and not force and not is_stream(output):
        raise RunError("the file already exists", str(output), "choose another with -o, or overwrite it with --force")
    found = find_run(store, run)
    reported = from_record(found, root=project_of(found), against=find_run(store, against) if against else None)
    data = page_html([reported], redact=redact).encode()
    try:
        write_file(output, data)
    except OSError as error:
        hint = "choose a file in an existing folder"
        raise RunError(f"cannot write: {error.strerror}", str(output), hint) from error
    click.echo(f"wrote {printable(str(output))}: {printable(headline(reported))}")


def _listed(path: Path) -> dict[str, Any]:
    """Return one run of `list --json`; an unreadable record is listed with its error."""
    try:
        run = Run.load(path)
        totals = run_totals(run)
    except RunError as error:
        return {"id": path.name, "error": error.problem}
    manifest = run.manifest
    return {
        "id": run.id,
        "spec": manifest.target.spec,
        "model": manifest.target.model,
        "version": manifest.target.version or None,
        "created_at": manifest.created_at.isoformat(),
        "closed": manifest.closed,
        "eval_sets": [plan.name for plan in manifest.eval_sets],
        "totals": totals.model_dump(mode="json"),
        "verdicts": verdict_counts(manifest),
    }


def _list_lines(path: Path) -> list[Line]:
    try:
        return list(run_summary_lines(Run.load(path)))
    except RunError as error:
        return [
            (shorten(path.name), {"bold": True}),
            (f"  cannot be read: {shorten(error.problem, 60)}", {"red": True}),
        ]


def _compared_lines(before: Run, after: Run, pairing: Pairing, show: int | None, *, redact: bool) -> Iterable[Line]:
    answers = redacted_answer_line if redact else answer_line
    for name, run in (("A", before), ("B", after)):
        yield f"{name}  {printable(run.id)}" + ("" if run.manifest.closed else "  (open)"), {}
    for pair in pairing.pairs:
        yield "", {}
        yield from comparison_lines("A", "B", pair.comparison, eval_set=pair.eval_set, show=show, answers=answers)
        yield from pair_notes(pair)
    for refusal in pairing.refusals:
        yield "", {}
        yield from not_compared_lines(refusal)
    for name, sets in (("A", pairing.only_before), ("B", pairing.only_after)):
        if sets:
            yield "", {}
            yield from (
                (f"only in {name}, not compared: {shorten(eval_set, 50)}", {"yellow": True}) for eval_set in sets
            )
