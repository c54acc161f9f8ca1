"""`pytest-finetune runs remove` and `prune`: runs that are no longer needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.cli.runs.options import complete_runs, find_run, runs_dir
from pytest_finetune.evaluation.runs.removal import remove_run, runs_to_prune

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.lifecycle.registry import Backend


@exit_codes("0  removed", "2  error; runs before the one with the error are removed")
@click.command("remove")
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--force", is_flag=True, help="Also remove evidence of a version in the registry.")
@registry_option
@runs_dir
def remove(store: RunStore, backend: Backend, runs: tuple[str, ...], *, force: bool) -> None:
    """Remove runs with all their answers.

    A run that is the evidence of a version in the registry is refused without --force.
    """
    found, needed = [find_run(store, name) for name in runs], _evidence(backend)
    for run in found:
        if run.id in needed and not force:
            problem = f"the evidence of {needed[run.id]} in {backend.location}"
            raise RunError(problem, run.id, "keep it, or remove it with --force")
    for run in {run.id: run for run in found}.values():
        remove_run(run)
        click.echo(f"removed {printable(run.id)}")


@exit_codes("0  success", "2  error; runs before the one with the error are removed")
@click.command("prune")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Keep this many of the newest runs.")
@click.option("--older-than", type=click.IntRange(min=0), metavar="DAYS", help="Remove only runs older than this.")
@click.option("--dry-run", is_flag=True, help="List the runs, and remove none.")
@registry_option
@runs_dir
def prune(store: RunStore, backend: Backend, keep: int, *, older_than: int | None, dry_run: bool) -> None:
    """Remove old runs.

    Pass --keep, --older-than or both. Open runs and the evidence of versions in the registry are kept.
    """
    if not keep and older_than is None:
        raise click.UsageError("pass --keep, --older-than, or both")
    before = None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)
    pruning = runs_to_prune(store, keep=keep, before=before, needed=_evidence(backend))
    for run in pruning.removed:
        if not dry_run:
            remove_run(run)
        click.echo(f"{'would remove' if dry_run else 'removed'} {printable(run.id)}")
    for name, why in pruning.kept.items():
        click.echo(f"kept {printable(name)}: {why}")
    if not pruning.removed:
        click.echo("nothing to remove")


def _evidence(backend: Backend) -> dict[str, str]:
    """The versions by the id of the run that is their evidence."""
    entries = backend.read().entries
    return {entry.evidence.run_id: version for version, entry in entries.items() if entry.evidence}
