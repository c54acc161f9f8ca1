"""How a step of the registry is asked for and told: its reason, its force, and where every version stands after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.output import print_json
from pytest_finetune.lifecycle.registry import RegistryError, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_finetune.lifecycle.registry import Backend, Change, Entry

reason_option = click.option("--reason", default="", metavar="TEXT", help="Reason recorded in the history.")
force_option = click.option("--force", is_flag=True, help="Override the refusals; requires --reason and is recorded.")


def take_step(
    backend: Backend, change: Change, now: datetime, *, as_json: bool, judged_at: int | None = None, **told: list[str]
) -> None:
    """
    Make a change and say what came of it.

    Args:
        backend: The registry.
        change: What to do.
        now: When.
        as_json: Say it for programs.
        judged_at: `seq` of the registry that the change was decided on.
        told: What else programs are told.

    Raises:
        RegistryError: As `Backend.update` does.
    """
    before = backend.read().entries
    registry = backend.update(change, now=now, expected_seq=judged_at)
    event = registry.history[-1]
    if as_json:
        print_json({"version": event.version, "done": True, **told, "event": event.model_dump(mode="json")})
        return
    click.echo(_moved(event.version, before, registry.entries) + (", forced" if event.forced else ""))
    for version, entry in registry.entries.items():
        if version in before and version != event.version and before[version].status is not entry.status:
            click.echo(_moved(version, before, registry.entries))


def _moved(version: str, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> str:
    was = before[version].status.value if version in before else "new"
    share = f" for {after[version].traffic:.3g} of users" if after[version].status is Status.CANARY else ""
    return f"{version}: {was} -> {after[version].status}{share}"


def check_reason(reason: str, *, force: bool) -> None:
    """
    A forced step says why.

    Raises:
        RegistryError: It does not.
    """
    if force and not reason.strip():
        raise RegistryError("--force requires a reason", "--force", 'add --reason "…"; it is recorded in the history')
