"""Commands that change a registry without evidence: add, rollback, reject, retire, rollout."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.apply_change import check_reason, force_option, reason_option, take_step
from pytest_finetune.cli.registry.options import complete_versions, earlier_version, known_version, who_option
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.evaluation.targets.base_url import check_base_url
from pytest_finetune.lifecycle.registry import Change, Entry, RegistryError, TrainingFile, apply
from pytest_finetune.lifecycle.registry.shutdown_checks import shutdown_cautions
from pytest_finetune.reports.registry import caution_lines

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Backend


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as n_epochs=3", context, parameter)
        found[name] = _json_or_text(value)
    return found


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    return check_base_url(value) if value else ""


@exit_codes("0  success", "2  error")
@click.command()
@click.argument("version")
@click.option("--model-id", required=True, help="Model id sent to the server, or a `local:` spec.")
@click.option(
    "--base-url", default="", callback=_address, help="Base URL of its server.  [default: from the environment]"
)
@click.option("--base-model", default="", help="Model it was fine-tuned from.  [default: from an `ft:` id]")
@click.option("--job-id", default="", help="Fine-tuning job that created it.")
@click.option(
    "--training-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Training file; its hash is recorded.",
)
@click.option(
    "--hyperparameter",
    "hyperparameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Hyperparameter of the training; repeatable.",
)
@click.option(
    "--shutdown-date", type=click.DateTime(["%Y-%m-%d"]), help="Date on which the model is shut down, if known."
)
@reason_option
@who_option
@json_option
@registry_option
def add(
    *,
    backend: Backend,
    version: str,
    model_id: str,
    base_url: str,
    base_model: str,
    job_id: str,
    training_file: Path | None,
    hyperparameters: dict[str, Any],
    shutdown_date: datetime | None,
    reason: str,
    who: str,
    as_json: bool,
) -> None:
    """Add VERSION as a candidate.

    Versions are immutable; add a new version for a new model.
    """
    now = datetime.now(UTC)
    entry = Entry(
        model_id=model_id,
        base_url=base_url,
        base_model=base_model or _tuned_from(model_id),
        job_id=job_id,
        training_file=_hashed(training_file) if training_file else None,
        hyperparameters=hyperparameters,
        created_at=now,
        shutdown_date=shutdown_date.replace(tzinfo=UTC) if shutdown_date else None,
    )
    take_step(backend, Change("add", version, who, reason, entry=entry), now, as_json=as_json)


@exit_codes("0  success", "2  error")
@click.command()
@earlier_version
@reason_option
@who_option
@json_option
@registry_option
def rollback(backend: Backend, version: str, reason: str, who: str, *, as_json: bool) -> None:
    """Return to an earlier production version.

    Without VERSION, to the one before the current one. VERSION must have been in production.
    """
    now, before, change = datetime.now(UTC), backend.read(), Change("rollback", version, who, reason)
    after = apply(before, change, now=now)
    cautions = shutdown_cautions(after.entries[after.history[-1].version], now=now)
    if not as_json:
        print_lines(caution_lines(cautions))
    take_step(backend, change, now, as_json=as_json, judged_at=before.seq, cautions=cautions)


@exit_codes("0  success", "2  error")
@click.command()
@known_version
@click.option("--reason", required=True, metavar="TEXT", help="Reason recorded in the history.")
@who_option
@json_option
@registry_option
def reject(backend: Backend, version: str, reason: str, who: str, *, as_json: bool) -> None:
    """Reject VERSION permanently.

    The version in production cannot be rejected.
    """
    if not reason.strip():
        raise RegistryError(
            "a rejection is permanent and requires a reason", "--reason", "say why; it is recorded in the history"
        )
    take_step(backend, Change("reject", version, who, reason), datetime.now(UTC), as_json=as_json)


@exit_codes("0  success", "2  error")
@click.command()
@known_version
@force_option
@reason_option
@who_option
@json_option
@registry_option
def retire(backend: Backend, version: str, reason: str, who: str, *, force: bool, as_json: bool) -> None:
    """Take VERSION out of use.

    The version in production is retired only with --force, which leaves production empty.
    """
    check_reason(reason, force=force)
    take_step(backend, Change("retire", version, who, reason, forced=force), datetime.now(UTC), as_json=as_json)


@exit_codes("0  success", "2  error")
@click.command()
@click.option(
    "--fallback",
    metavar="VERSION",
    shell_complete=complete_versions,
    help="Version that takes over if production exceeds its error budget.",
)
@click.option("--error-budget", type=click.FloatRange(0, 1), help="Tolerated share of failed calls in production.")
@click.option("--window", type=click.FloatRange(0, min_open=True), help="Window of the error rate in seconds.")
@click.option("--salt", help="Salt for hashing user ids; changing it reassigns every user.")
@reason_option
@who_option
@json_option
@registry_option
def rollout(
    *,
    backend: Backend,
    fallback: str | None,
    error_budget: float | None,
    window: float | None,
    salt: str | None,
    reason: str,
    who: str,
    as_json: bool,
) -> None:
    """Change how the router distributes traffic.

    Options that are not given keep their values.
    """
    given = {"fallback": fallback, "error_budget": error_budget, "window": window, "salt": salt}
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        raise click.UsageError("pass at least one of --fallback, --error-budget, --window, --salt")
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
