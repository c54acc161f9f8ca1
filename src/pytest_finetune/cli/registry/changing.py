"""Commands that need no evidence: add, rollback, reject, retire, and how the router shares traffic out."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.cli.registry.options import (
    complete_versions,
    earlier_version,
    known_version,
    registry_option,
    who_option,
)
from pytest_finetune.cli.registry.steps import check_reason, force_option, reason_option, take_step
from pytest_finetune.cli.runs import json_option, print_json, print_lines
from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.evaluation.targets.address import check_base_url
from pytest_finetune.lifecycle.registry import Change, Entry, RegistryError, TrainingFile, apply
from pytest_finetune.lifecycle.registry.promotion import end_cautions
from pytest_finetune.reports.registry import caution_lines

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Backend


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not of the form n_epochs=3", context, parameter)
        found[name] = _json_or_text(value)
    return found


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    return check_base_url(value) if value else ""


@click.command()
@click.argument("version")
@click.option("--model-id", required=True, help="The id on the wire, or a `local:` spec.")
@click.option("--base-url", default="", callback=_address, help="Its server.  [default: that of the environment]")
@click.option("--base-model", default="", help="What it was tuned from.  [default: what an `ft:` id says]")
@click.option("--job-id", default="", help="The fine-tuning job that made it.")
@click.option("--training-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its data; hashed.")
@click.option("--hyperparameter", "hyperparameters", multiple=True, metavar="NAME=VALUE", callback=_pairs)
@click.option("--shutdown-date", type=click.DateTime(["%Y-%m-%d"]), help="When it is switched off, where you know.")
@reason_option
@who_option
@json_option
@registry_option
def add(
    backend: Backend, version: str, training_file: Path | None, reason: str, who: str, *, as_json: bool, **facts: Any
) -> None:
    """Add VERSION as a candidate.

    A version never changes: another model is another version.

    Exit codes: 0 added, 2 could not be done.
    """
    now = datetime.now(UTC)
    facts["base_model"] = facts["base_model"] or _tuned_from(facts["model_id"])
    if facts["shutdown_date"] is not None:
        facts["shutdown_date"] = facts["shutdown_date"].replace(tzinfo=UTC)
    entry = Entry(**facts, created_at=now, training_file=_hashed(training_file) if training_file else None)
    take_step(backend, Change("add", version, who, reason, entry=entry), now, as_json=as_json)


@click.command()
@earlier_version
@reason_option
@who_option
@json_option
@registry_option
def rollback(backend: Backend, version: str, reason: str, who: str, *, as_json: bool) -> None:
    """Go back to the production version before.

    With VERSION, go back to that one, which must have been in production once.

    Exit codes: 0 done, 2 could not be done.
    """
    now, before, change = datetime.now(UTC), backend.read(), Change("rollback", version, who, reason)
    after = apply(before, change, now=now)
    known = end_cautions(after.entries[after.history[-1].version], now=now)
    if not as_json:
        print_lines(caution_lines(known))
    take_step(backend, change, now, as_json=as_json, judged_at=before.seq, cautions=known)


@click.command()
@known_version
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the history.")
@who_option
@json_option
@registry_option
def reject(backend: Backend, version: str, reason: str, who: str, *, as_json: bool) -> None:
    """Reject VERSION for good.

    Any but the one in production can be.

    Exit codes: 0 done, 2 could not be done.
    """
    if not reason.strip():
        raise RegistryError(
            "a rejection is for good, and needs a reason", "--reason", "say why: it stays in the history"
        )
    take_step(backend, Change("reject", version, who, reason), datetime.now(UTC), as_json=as_json)


@click.command()
@known_version
@force_option
@reason_option
@who_option
@json_option
@registry_option
def retire(backend: Backend, version: str, reason: str, who: str, *, force: bool, as_json: bool) -> None:
    """Take VERSION out of use.

    The one in production goes only with --force, and leaves none there.

    Exit codes: 0 done, 2 could not be done.
    """
    check_reason(reason, force=force)
    take_step(backend, Change("retire", version, who, reason, forced=force), datetime.now(UTC), as_json=as_json)


@click.command()
@click.option(
    "--fallback",
    metavar="VERSION",
    shell_complete=complete_versions,
    help="Takes over when production exceeds its error budget.",
)
@click.option("--error-budget", type=click.FloatRange(0, 1), help="Share of failed calls that production may have.")
@click.option("--window", type=click.FloatRange(0, min_open=True), help="Seconds that the error rate looks back.")
@click.option("--salt", help="Mixed into the hash of user ids; another one deals everybody anew.")
@reason_option
@who_option
@json_option
@registry_option
def rollout(backend: Backend, reason: str, who: str, *, as_json: bool, **settings: Any) -> None:
    """Set how the router shares traffic out; what is not named stays.

    Exit codes: 0 done, 2 could not be done.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if not chosen:
        raise click.UsageError("name at least one of --fallback, --error-budget, --window, --salt")
    before = backend.read()
    change = Change("set_rollout", "", who, reason, rollout=before.rollout.model_copy(update=chosen))
    now = datetime.now(UTC)
    if as_json:
        print_json(backend.update(change, now=now, expected_seq=before.seq).rollout.model_dump(mode="json"))
    else:
        after = backend.update(change, now=now, expected_seq=before.seq).rollout
        print_lines([(f"{name}: {getattr(after, name) or '-'}", {}) for name in type(after).model_fields])


def _tuned_from(model_id: str) -> str:
    return base_of(model_id) if model_id.startswith("ft:") else ""


def _hashed(path: Path) -> TrainingFile:
    with path.open("rb") as file:
        return TrainingFile(path=path.as_posix(), sha256=hashlib.file_digest(file, "sha256").hexdigest())


COMMANDS: tuple[click.Command, ...] = (add, rollback, reject, retire, rollout)
