"""`pytest-finetune registry`: model versions, their evidence, and the steps from candidate to production."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand, exit_codes


@exit_codes("0  success", "1  the evidence was insufficient, or problems were found", "2  error")
@click.group("registry", cls=LazyGroup)
def command() -> None:
    """Track model versions and promote them on evidence."""


_HERE = "pytest_finetune.cli.registry"
command.subcommands = {
    "list": Subcommand(f"{_HERE}.queries:list_versions", "List the versions."),
    "show": Subcommand(f"{_HERE}.queries:show", "Show one version and its evidence."),
    "add": Subcommand(f"{_HERE}.changes:add", "Add VERSION as a candidate."),
    "canary": Subcommand(f"{_HERE}.promoting:canary", "Send a share of users to VERSION, on evidence."),
    "promote": Subcommand(f"{_HERE}.promoting:promote", "Promote VERSION to production, on evidence."),
    "rollback": Subcommand(f"{_HERE}.changes:rollback", "Return to an earlier production version."),
    "reject": Subcommand(f"{_HERE}.changes:reject", "Reject VERSION permanently."),
    "retire": Subcommand(f"{_HERE}.changes:retire", "Take VERSION out of use."),
    "rollout": Subcommand(f"{_HERE}.changes:rollout", "Change how the router distributes traffic."),
    "history": Subcommand(f"{_HERE}.queries:history", "List changes, newest first."),
    "diff": Subcommand(f"{_HERE}.queries:diff", "Show the differences between two versions or registry files."),
    "sunset": Subcommand(f"{_HERE}.queries:sunset", "List versions whose base model is being retired."),
    "verify": Subcommand(f"{_HERE}.queries:verify", "Check the history for gaps and tampering."),
}
