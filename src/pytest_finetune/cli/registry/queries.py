"""Commands that read a registry and change nothing: list, show, history, verify, diff, sunset."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.options import (
    look_at,
    optional_version,
    read,
    two_versions,
    version_argument,
    warned,
    within_option,
)
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.lifecycle.registry import Verifiable, open_registry, version_for
from pytest_finetune.lifecycle.registry import verify as find_problems
from pytest_finetune.lifecycle.registry.sunset import (
    ServerDates,
    ask_shutdown_dates,
    retiring_versions,
    shutdown_of,
    unreadable_dates,
)
from pytest_finetune.lifecycle.registry.verification import history_problem
from pytest_finetune.reports.registry import gates_passed, history_lines, in_order, shutdown_lines, version_lines
from pytest_finetune.reports.registry import versions_lines as table_lines
from pytest_finetune.reports.registry_diff import (
    difference_lines,
    registry_differences,
    version_differences,
)
from pytest_finetune.reports.text import one_line, wrapped

if TYPE_CHECKING:
    from datetime import timedelta

    from pytest_finetune.lifecycle.registry import Backend, Entry
    from pytest_finetune.lifecycle.registry.sunset import RetiringVersion
    from pytest_finetune.reports.registry_diff import RegistryDifference


@exit_codes("0  success", "2  error")
@click.command("list")
@json_option
@registry_option
def list_versions(backend: Backend, *, as_json: bool) -> None:
    """List the versions.

    Production comes first, then the canary and the candidates.
    """
    registry, now = look_at(backend), datetime.now(UTC)
    if as_json:
        print_json([_listed(version, entry) for version, entry in in_order(registry)])
    elif registry.entries:
        print_lines(table_lines(registry, now=now))
    else:
        click.echo(f"no versions in {backend.location}; add one: pytest-finetune registry add VERSION --model-id ID")


@exit_codes("0  success", "2  error")
@click.command()
@version_argument
@json_option
@registry_option
def show(backend: Backend, version: str, *, as_json: bool) -> None:
    """Show one version and its evidence.

    VERSION may also be `production`, `canary`, or `candidate` (the newest one).
    """
    name, entry = version_for(look_at(backend), version)
    if as_json:
        print_json({"version": name, **entry.model_dump(mode="json")})
    else:
        print_lines(version_lines(name, entry, now=datetime.now(UTC)))


@exit_codes("0  success", "2  error")
@click.command()
@optional_version
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of changes."
)
@json_option
@registry_option
def history(backend: Backend, version: str | None, count: int, *, as_json: bool) -> None:
    """List changes, newest first.

    With VERSION, only changes to it.
    """
    registry = look_at(backend)
    name = version_for(registry, version)[0] if version else None
    events = [event for event in registry.history if name in (None, event.version)]
    if as_json:
        print_json([event.model_dump(mode="json") for event in reversed(events[-count:])])
        return
    print_lines(history_lines(events[-count:]))
    if len(events) > count:
        click.echo(f"{len(events) - count:,} older; -n {len(events)} lists all")


@exit_codes("0  success", "1  a problem was found", "2  error")
@click.command()
@json_option
@registry_option
@click.pass_context
def verify(ctx: click.Context, backend: Backend, *, as_json: bool) -> None:
    """Check the history for gaps and tampering.

    The hash chain must be intact, and replaying the history must produce every entry.
    """
    registry = read(backend)
    # A backend that shows the registry elsewhere too, as MLflow does, checks that as well.
    problems = backend.verify() if isinstance(backend, Verifiable) else find_problems(registry)
    if as_json:
        print_json({"sound": not problems, "problems": problems})
    elif problems:
        print_lines(line for problem in problems for line in wrapped(one_line(problem), {"red": True}))
    else:
        click.echo(f"{backend.location}: {len(registry.history)} events, all consistent")
    ctx.exit(1 if problems else 0)


@exit_codes("0  success", "2  error")
@click.command()
@two_versions[0]
@two_versions[1]
@json_option
@registry_option
def diff(backend: Backend, a: str, b: str, *, as_json: bool) -> None:
    """Show the differences between two versions or registry files.

    A and B are registry files if both exist, otherwise versions. Equal fields, metrics and verdicts are omitted.
    """
    files = Path(a).is_file() and Path(b).is_file()
    found = _between_files(a, b) if files else _between_versions(backend, a, b)
    if as_json:
        print_json({name: [_differing(one) for one in differences] for name, differences in found.items()})
    elif not found:
        click.echo("no differences")
    for name, differences in found.items() if not as_json else ():
        print_lines(difference_lines(name, differences))


@exit_codes("0  success", "1  a version is affected, a date cannot be read, or the registry was edited", "2  error")
@click.command()
@within_option
@click.option("--ask", is_flag=True, help="Also query the server's models endpoint for shutdown dates.")
@json_option
@registry_option
@click.pass_context
def sunset(ctx: click.Context, backend: Backend, within: timedelta, *, ask: bool, as_json: bool) -> None:
    """List versions whose base model is being retired.

    Only versions in use are listed. A version stops working when its model, or the model it was fine-tuned from, is
    shut down. A date from the server that cannot be read is a warning, and so is a registry that was edited.
    """
    now, registry = datetime.now(UTC), warned(read(backend), backend.location)
    server = ask_shutdown_dates() if ask else ServerDates()
    found = retiring_versions(registry, within=within, now=now, server=server)
    unreadable = unreadable_dates(registry, server)
    for problem in unreadable:
        click.echo(f"warning: {printable(problem)}", err=True)
    if as_json:
        print_json([_retiring(one, now) for one in found])
    else:
        print_lines(shutdown_lines(found, now=now, within=within))
    # An edited registry may name other models than those in use.
    ctx.exit(1 if found or unreadable or history_problem(registry) else 0)


def _listed(version: str, entry: Entry) -> dict[str, Any]:
    shutdown = shutdown_of(entry)
    return {
        "version": version,
        "status": entry.status.value,
        "traffic": entry.traffic,
        "model_id": entry.model_id,
        "base_url": entry.base_url,
        "created_at": entry.created_at.isoformat(),
        "run_id": entry.evidence.run_id if entry.evidence else None,
        "gates_passed": gates_passed(entry.evidence) if entry.evidence else None,
        "shutdown_date": shutdown.date.isoformat() if shutdown else None,
    }


def _retiring(one: RetiringVersion, now: datetime) -> dict[str, Any]:
    return {
        "version": one.version,
        "status": one.entry.status.value,
        "model_id": one.entry.model_id,
        "going": one.shutdown.model,
        "shutdown_date": one.shutdown.date.isoformat(),
        "days_left": one.shutdown.days_left(now),
        "source": one.shutdown.source,
    }


def _differing(one: RegistryDifference) -> dict[str, Any]:
    return {"eval_set": one.eval_set, "kind": one.kind, "name": one.name, "a": one.before, "b": one.after}


def _between_files(a: str, b: str) -> dict[str, list[RegistryDifference]]:
    return registry_differences(*(look_at(open_registry(path)) for path in (a, b)))


def _between_versions(backend: Backend, a: str, b: str) -> dict[str, list[RegistryDifference]]:
    registry = warned(read(backend), backend.location)
    (old, before), (new, after) = (version_for(registry, name) for name in (a, b))
    found = version_differences(before, after)
    return {f"{old} -> {new}": found} if found else {}
