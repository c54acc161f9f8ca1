"""Options and arguments that choose recorded runs."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_finetune.evaluation.runs import Run, RunStore

RUNS = Path(".finetune", "runs")

redact_option = click.option("--redact", is_flag=True, help="Show hashes instead of prompts and answers.")


def run_store() -> RunStore:
    """Return the runs of this folder, or of the nearest parent that has any."""
    here = Path.cwd()
    return RunStore(next((folder / RUNS for folder in (here, *here.parents) if (folder / RUNS).is_dir()), here / RUNS))


def _store(context: click.Context, parameter: click.Parameter, value: Path | None) -> RunStore:  # noqa: ARG001
    return RunStore(value.resolve()) if value else run_store()


runs_dir = click.option(
    "--runs-dir",
    "store",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_store,
    help=f"Folder of recorded runs.  [default: {RUNS.as_posix()} here or in the nearest parent]",
)


def complete_runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Complete runs, newest first, and `last`."""
    store: RunStore = context.params.get("store") or run_store()
    names = [path.name for path in store.newest_first()]
    return [name for name in (*names, *(["last"] if names else [])) if name.startswith(incomplete)]


def project_of(run: Run) -> Path:
    """Return the folder that holds `.finetune`; the names of a run's eval sets are relative to it."""
    inside = run.path.resolve().parts[-3:-1] == RUNS.parts
    return run.path.resolve().parents[2] if inside else Path.cwd()


def find_run(store: RunStore, name: str) -> Run:
    """
    Find a run by its path, or by what `RunStore.find` accepts.

    Raises:
        RunError: There is no such run, or more than one.
    """
    path = Path(name)
    if name != "last" and (path / "manifest.json").is_file():
        return Run.load(path.resolve())
    return store.find(name)
