"""What the commands that change a registry share: `--reason`, `--force`, and applying and printing a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.output import print_json
from pytest_finetune.lifecycle.registry import RegistryError, VersionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_finetune.lifecycle.registry import Backend, Change, Entry

reason_option = click.option("--reason", default="", metavar="TEXT", help="Reason recorded in the history.")
force_option = click.option("--force", is_flag=True, help="Override the refusals; requires --reason and is recorded.")


def take_step(
    backend: Backend,
    change: Change,
    now: datetime,
    *,
    as_json: bool,
    judged_at: int | None = None,
    overruled: Sequence[str] | None = None,
    cautions: Sequence[str] | None = None,
) -> None:
    """
    Apply a change to the registry and print the result.

    Args:
        backend: The registry.
        change: The change to apply.
        now: Time recorded in the history.
        as_json: Print JSON.
        judged_at: `seq` of the registry that the change was decided on; any other one is refused.
        overruled: Refusals that the change overrides, for the JSON; None leaves the key out.
        cautions: Warnings, for the JSON; None leaves the key out.

    Raises:
        RegistryError: As `Backend.update` does.
    """
    before = backend.read().entries
    registry = backend.update(change, now=now, expected_seq=judged_at)
    event = registry.history[-1]
    if as_json:
        lists = {"overruled": overruled, "cautions": cautions}
        given = {key: list(texts) for key, texts in lists.items() if texts is not None}
        print_json({"version": event.version, "done": True, **given, "event": event.model_dump(mode="json")})
        return
    click.echo(_transition(event.version, before, registry.entries) + (", forced" if event.forced else ""))
    for version, entry in registry.entries.items():
        if version in before and version != event.version and before[version].status is not entry.status:
            click.echo(_transition(version, before, registry.entries))


def _transition(version: str, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> str:
    was = before[version].status.value if version in before else "new"
    share = f" for {after[version].traffic:.3g} of users" if after[version].status is VersionStatus.CANARY else ""
    return f"{version}: {was} -> {after[version].status}{share}"


def check_reason(reason: str, *, force: bool) -> None:
    """
    Require a reason for a forced change.

    Raises:
        RegistryError: The change is forced without a reason.
    """
    if force and not reason.strip():
        raise RegistryError("--force requires a reason", "--force", 'add --reason "…"; it is recorded in the history')
