"""Options and arguments that the registry commands share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.text import printable
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.runs.options import complete_runs
from pytest_finetune.lifecycle.registry import FileBackend, Registry, RegistryError, current_who, open_registry
from pytest_finetune.lifecycle.registry.verification import history_problem
from pytest_finetune.lifecycle.registry.version_spec import NAMED_BY_STATUS

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Backend


def read(backend: Backend) -> Registry:
    """
    Read a registry that must exist: a mistyped path must not look like an empty registry.

    Raises:
        RegistryError: The registry does not exist, or cannot be read.
    """
    if isinstance(backend, FileBackend) and not backend.path.exists():
        hint = "set its path with --registry, or create one with pytest-finetune registry add"
        raise RegistryError("the registry does not exist", backend.location, hint)
    return backend.read()


def look_at(backend: Backend) -> Registry:
    """Read the registry to show it, with a warning if it does not agree with its history."""
    return warned(backend.read(), backend.location)


def warned(registry: Registry, location: str) -> Registry:
    """Return the registry unchanged, after a warning on stderr if it does not agree with its history."""
    if problem := history_problem(registry):
        click.echo(
            f"warning: {printable(location)} {printable(problem)}: see pytest-finetune registry verify", err=True
        )
    return registry


def _within(context: click.Context, parameter: click.Parameter, value: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})([dw]?)", value, re.ASCII)
    if not match:
        raise click.BadParameter("must be days or weeks, such as 90d or 12w", context, parameter)
    return timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1))


within_option = click.option(
    "--within", default="90d", show_default=True, callback=_within, help="How far to look ahead, such as 90d or 12w."
)

who_option = click.option(
    "--who", default=current_who, metavar="NAME", help="Name recorded in the history.  [default: git's user.email]"
)


def complete_versions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Complete version names."""
    return [name for name in _registry(context).entries if name.startswith(incomplete)]


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete version names, and statuses that select a version."""
    held = {entry.status for entry in _registry(context).entries.values()}
    statuses = [status.value for status in NAMED_BY_STATUS if status in held and status.startswith(incomplete)]
    return [*complete_versions(context, parameter, incomplete), *statuses]


def _registry(context: click.Context) -> Registry:
    try:
        backend: Backend = context.params.get("backend") or open_registry(DEFAULT)
        return backend.read()
    except FinetuneError:
        # Completion cannot show an error; running the command will.
        return Registry()


version_argument = click.argument("version", shell_complete=_names)
optional_version = click.argument("version", required=False, shell_complete=_names)
known_version = click.argument("version", shell_complete=complete_versions)
earlier_version = click.argument("version", required=False, default="", shell_complete=complete_versions)
two_versions = (
    click.argument("a", shell_complete=_names),
    click.argument("b", shell_complete=_names),
)
run_option = click.option(
    "--run",
    "run_name",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Run to use as evidence: id, prefix, path or `last`.",
)
