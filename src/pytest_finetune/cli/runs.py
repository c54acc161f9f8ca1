"""`pytest-finetune runs`: recorded runs listed, shown, compared and reported, from the records alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import replace_file
from pytest_finetune.base.text import printable, shorten
from pytest_finetune.evaluation.runs import Run, RunStore
from pytest_finetune.evaluation.runs.pairing import pair_runs
from pytest_finetune.reports.comparison import (
    answer_line,
    comparison_lines,
    pair_notes,
    redacted_answer_line,
    refusal_lines,
)
from pytest_finetune.reports.comparison_json import pairing_to_json
from pytest_finetune.reports.runs import run_lines, run_summary_lines, run_totals, verdict_counts, why_stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.evaluation.runs.pairing import Pairing
    from pytest_finetune.reports.text import Line

RUNS = Path(".finetune", "runs")

redact_option = click.option("--redact", is_flag=True, help="Leave prompts and answers out: hashes and verdicts stay.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def run_store() -> RunStore:
    """The runs of the nearest folder that has any, from here upwards."""
    here = Path.cwd()
    return RunStore(next((folder / RUNS for folder in (here, *here.parents) if (folder / RUNS).is_dir()), here / RUNS))


def _store(context: click.Context, parameter: click.Parameter, value: Path | None) -> RunStore:  # noqa: ARG001
    return RunStore(value.resolve()) if value else run_store()


runs_dir = click.option(
    "--runs-dir",
    "store",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_store,
    help=f"Folder of the records.  [default: {RUNS.as_posix()} here or in the nearest parent that has it]",
)


@click.group()
def command() -> None:
    """Look at recorded runs.

    RUN, A and B are a run's id, the beginning of it that no other run has, a path to its folder, or `last`.
    """


@command.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@json_option
@runs_dir
def list_runs(store: RunStore, count: int, as_json: bool) -> None:  # noqa: FBT001 - click calls by name
    """List runs, the newest first."""
    folders = store.newest_first()
    if as_json:
        print_json([_listed(path) for path in folders[:count]])
        return
    if not folders:
        click.echo(f"no run yet in {store.root}: evaluate a model first: pytest --model=…")
    for path in folders[:count]:
        print_lines(_list_lines(path))
    if len(folders) > count:
        click.echo(f"{len(folders) - count:,} older: -n {len(folders)} lists all")


@command.command()
@click.argument("run")
@redact_option
@json_option
@runs_dir
def show(store: RunStore, run: str, *, redact: bool, as_json: bool) -> None:
    """Show one run: its target, eval sets, verdicts, totals and versions.

    There is no prompt and no answer in it, but why a run stopped may be in the server's own words: --redact leaves
    those out.
    """
    found = find_run(store, run)
    if as_json:
        told = {
            "stopped": why_stopped(found.manifest, redact=redact),
            "seal_fault": found.seal_fault if found.manifest.closed else "",
            "path": str(found.path),
        }
        print_json({**found.manifest.model_dump(mode="json"), **told})
    else:
        print_lines(run_lines(found, redact=redact))


@command.command()
@click.argument("a")
@click.argument("b")
@click.option("--show", type=click.IntRange(min=0), default=10, show_default=True, help="Flipped cases to show.")
@click.option("--all", "show_all", is_flag=True, help="Show all flipped cases.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Level of the interval; 1 minus it is the p below which B is worse.",
)
@click.option("--open", "allow_open", is_flag=True, help="Take open runs too; what they miss counts as not passed.")
@redact_option
@json_option
@runs_dir
def compare(
    store: RunStore, a: str, b: str, *, show: int, show_all: bool, redact: bool, as_json: bool, **how: Any
) -> None:
    """Compare run B with run A, paired by case, over every eval set that both asked.

    Lost cases passed in A and not in B, won ones the other way round; with repeats a case passes when every attempt
    does. B is worse in an eval set when more cases are lost than won and the exact McNemar test gives a p below 0.05
    (1 minus --confidence).

    \b
    Exit codes:
      0  B is not worse
      1  B is worse in some eval set
      2  B is not worse in any that could be compared, but not all could
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    before, after = find_run(store, a), find_run(store, b)
    pairing = pair_runs(before, after, **how)
    if as_json:
        print_json(pairing_to_json(before, after, pairing, redact=redact))
    else:
        print_lines(_compared_lines(before, after, pairing, None if show_all else show, redact=redact))
    sys.exit(1 if pairing.worse else 2 if pairing.refusals else 0)


@command.command()
@click.argument("run")
@click.option("--against", metavar="RUN", help="Compare with this run, case by case, and show the flips.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@redact_option
@runs_dir
def report(store: RunStore, run: str, against: str | None, output: Path, *, force: bool, redact: bool) -> None:
    """Write the page on which a run is reviewed: one HTML file that needs no network.

    Verdicts are shown as they stood when the run ended. Prompts come from the record's own copies of the eval sets, or
    from today's files where they have not changed since; without either the page shows ids and answers, and says why.

    \b
    Exit codes:
      0  written, whatever the verdict
      2  not written: no such run, a damaged record, or a file that is there or cannot be made
    """  # noqa: D301 - as above
    from pytest_finetune.reports.page.document import page_html
    from pytest_finetune.reports.page.sections import headline
    from pytest_finetune.reports.sources import from_record

    if output.exists() and not force:
        raise RunError("the file is there already", str(output), "name another with -o, or replace it with --force")
    found = find_run(store, run)
    reported = from_record(found, root=project_of(found), against=find_run(store, against) if against else None)
    data = page_html([reported], redact=redact).encode()
    try:
        replace_file(output, data)
    except OSError as error:
        hint = "name a file in a folder that is there"
        raise RunError(f"cannot be written: {error.strerror}", str(output), hint) from error
    click.echo(f"wrote {printable(str(output))}: {printable(headline(reported))}")


def project_of(run: Run) -> Path:
    """The folder that the names of a run's eval sets are relative to: the one that holds `.finetune`."""
    inside = run.path.resolve().parts[-3:-1] == RUNS.parts
    return run.path.resolve().parents[2] if inside else Path.cwd()


def find_run(store: RunStore, name: str) -> Run:
    """
    The run that RUN names: a path, or what `RunStore.find` takes.

    Raises:
        RunError: There is no such run, or more than one.
    """
    path = Path(name)
    if name != "last" and (path / "manifest.json").is_file():
        return Run.load(path.resolve())
    return store.find(name)


def _listed(path: Path) -> dict[str, Any]:
    """One run of `list --json`; a record that cannot be read is told as such, and hides no other."""
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
        yield from pair_notes("A", "B", pair)
    for refusal in pairing.refusals:
        yield "", {}
        yield from refusal_lines("A", "B", refusal)
    for name, sets in (("A", pairing.only_before), ("B", pairing.only_after)):
        if sets:
            yield "", {}
            yield from (
                (f"only in {name}, not compared: {shorten(eval_set, 50)}", {"yellow": True}) for eval_set in sets
            )


def print_lines(lines: Iterable[Line]) -> None:
    """Lines for people, coloured where the terminal has colours."""
    for text, markup in lines:
        colour = next((name for name in markup if name != "bold"), None)
        click.secho(text, fg=colour, bold=markup.get("bold"))


def print_json(value: Any) -> None:
    """One JSON value for programs."""
    # All but ASCII is escaped, so that no control code of an answer reaches a terminal.
    click.echo(json.dumps(value, indent=1))
