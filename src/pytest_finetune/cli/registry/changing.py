"""Commands that move a version: add, canary, promote, rollback, reject, retire. Users see what evidence let through."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune import __version__
from pytest_finetune.cli.registry.options import registry_option, version_argument, who_option
from pytest_finetune.cli.runs import find_run, json_option, print_json, print_lines, runs_dir
from pytest_finetune.evalset import load_eval_sets
from pytest_finetune.evalset.discovery import find_eval_sets
from pytest_finetune.plugin.options import EVAL_SET_PATTERNS
from pytest_finetune.registry import Change, Entry, RegistryError, Status, TrainingFile, version_for
from pytest_finetune.registry.promotion import cautions, evidence_of, history_faults, refusals
from pytest_finetune.registry.sunset import base_of
from pytest_finetune.reports.registry import caution_lines, refusal_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.evalset import EvalSet
    from pytest_finetune.registry import Backend, Evidence
    from pytest_finetune.runs import Run, RunStore

_reason = click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
_force = click.option("--force", is_flag=True, help="Do it all the same; needs --reason, and stays in the history.")
_run = click.option(
    "--run", "run_name", metavar="RUN", help="The run that is the evidence: id, prefix, path or `last`."
)
_eval_sets = click.option(
    "--eval-sets",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Today's eval sets: files, or folders that hold them; repeatable.  [default: all below this folder]",
)


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


@click.command()
@click.argument("version")
@click.option("--model-id", required=True, help="The id on the wire, or a `local:` spec.")
@click.option("--base-url", default="", help="Its server.  [default: that of the environment]")
@click.option("--base-model", default="", help="What it was tuned from.  [default: what an `ft:` id says]")
@click.option("--job-id", default="", help="The fine-tuning job that made it.")
@click.option("--training-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its data; hashed.")
@click.option("--hyperparameter", "hyperparameters", multiple=True, metavar="NAME=VALUE", callback=_pairs)
@click.option("--shutdown-date", type=click.DateTime(["%Y-%m-%d"]), help="When it is switched off, where you know.")
@_reason
@who_option
@json_option
@registry_option
def add(
    backend: Backend, version: str, training_file: Path | None, reason: str, who: str, *, as_json: bool, **facts: Any
) -> None:
    """Add VERSION as a candidate.

    A version never changes: another model is another version.
    """
    now = datetime.now(UTC)
    facts["base_model"] = facts["base_model"] or _tuned_from(facts["model_id"])
    if facts["shutdown_date"] is not None:
        facts["shutdown_date"] = facts["shutdown_date"].replace(tzinfo=UTC)
    entry = Entry(**facts, created_at=now, training_file=_hashed(training_file) if training_file else None)
    _change(backend, Change("add", version, who, reason, entry=entry), now, as_json=as_json)


@click.command()
@version_argument
@_run
@_eval_sets
@_force
@_reason
@who_option
@runs_dir
@json_option
@registry_option
def promote(backend: Backend, version: str, who: str, *, as_json: bool, **how: Any) -> None:
    """Put VERSION into production, on evidence.

    The version that was there before is deprecated.

    The evidence is the run named by --run, or without it the one that VERSION has been let through on before. It has
    to be a closed run of this very model, over all of today's eval sets, settings, schemas and repeats, with every
    gate passed. Every reason against it is told at once.

    Exit codes: 0 promoted, 1 refused by the evidence, 2 could not be done.
    """
    _let_through("promote", backend, version, who, as_json=as_json, **how)


@click.command()
@version_argument
@click.option("--traffic", type=click.FloatRange(0, 1), required=True, help="Share of users, 0 to 1.")
@_run
@_eval_sets
@_force
@_reason
@who_option
@runs_dir
@json_option
@registry_option
def canary(backend: Backend, version: str, who: str, *, as_json: bool, **how: Any) -> None:
    """Show VERSION to a share of users, on evidence.

    The evidence is what `promote` asks for. For a version that is the canary already this changes its share, and needs
    no new evidence.

    Exit codes: 0 done, 1 refused by the evidence, 2 could not be done.
    """
    _let_through("canary", backend, version, who, as_json=as_json, **how)


@click.command()
@click.argument("version", required=False, default="")
@_reason
@who_option
@json_option
@registry_option
def rollback(backend: Backend, version: str, reason: str, who: str, *, as_json: bool) -> None:
    """Go back to the production version before.

    With VERSION, go back to that one, which must have been in production once.
    """
    _change(backend, Change("rollback", version, who, reason), datetime.now(UTC), as_json=as_json)


@click.command()
@version_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the history.")
@who_option
@json_option
@registry_option
def reject(backend: Backend, version: str, reason: str, who: str, *, as_json: bool) -> None:
    """Reject VERSION for good.

    Any but the one in production can be.
    """
    _change(backend, Change("reject", version, who, reason), datetime.now(UTC), as_json=as_json)


@click.command()
@version_argument
@_force
@_reason
@who_option
@json_option
@registry_option
def retire(backend: Backend, version: str, reason: str, who: str, *, force: bool, as_json: bool) -> None:
    """Take VERSION out of use.

    The one in production goes only with --force, and leaves none there.
    """
    _check_reason(reason, force=force)
    _change(backend, Change("retire", version, who, reason, forced=force), datetime.now(UTC), as_json=as_json)


@click.command()
@click.option("--fallback", metavar="VERSION", help="Takes over when production exceeds its error budget.")
@click.option("--error-budget", type=click.FloatRange(0, 1), help="Share of failed calls that production may have.")
@click.option("--window", type=click.FloatRange(0, min_open=True), help="Seconds that the error rate looks back.")
@click.option("--salt", help="Mixed into the hash of user ids; another one deals everybody anew.")
@_reason
@who_option
@json_option
@registry_option
def rollout(backend: Backend, reason: str, who: str, *, as_json: bool, **settings: Any) -> None:
    """Set how the router shares traffic out; what is not named stays."""
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


def _let_through(
    action: str,
    backend: Backend,
    spec: str,
    who: str,
    *,
    store: RunStore,
    run_name: str | None,
    eval_sets: Sequence[Path],
    force: bool,
    reason: str,
    as_json: bool,
    traffic: float | None = None,
) -> None:
    """Judge the evidence, and take the step or tell every reason against it."""
    _check_reason(reason, force=force)
    now, registry = datetime.now(UTC), backend.read()
    version, entry = version_for(registry, spec)
    run = find_run(store, run_name) if run_name else None
    proof = run or entry.evidence
    # A canary has been let through already: its share needs no new evidence.
    judged = action != "canary" or run is not None or entry.status is not Status.CANARY
    today = _todays(eval_sets) if judged and proof else []
    production = next((one for one in registry.entries.values() if one.status is Status.PRODUCTION), None)
    reasons = _reasons(entry, proof, today, now, production) if judged else []
    reasons += history_faults(registry, version, proof) if judged else []
    known = cautions(entry, proof, now=now) if judged and proof else []
    if not as_json:
        print_lines(caution_lines(known))
    if reasons and not force:
        _refuse(version, reasons, known, as_json=as_json)
    change = Change(
        action,
        version,
        who,
        _why(reason, reasons, run, traffic, eval_sets),
        forced=bool(reasons),
        evidence=evidence_of(run, today) if run and run.manifest.closed else None,
        traffic=traffic,
    )
    _change(backend, change, now, as_json=as_json, judged_at=registry.seq, overruled=reasons, cautions=known)


def _reasons(
    entry: Entry, proof: Run | Evidence | None, today: Sequence[EvalSet], now: datetime, production: Entry | None
) -> list[str]:
    if proof is None:
        return ["there is no evidence yet: evaluate it with pytest --model=…, and name the run with --run"]
    return refusals(entry, proof, today, now=now, plugin_version=__version__, production=production)


def _refuse(version: str, reasons: list[str], known: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"version": version, "done": False, "refusals": reasons, "cautions": known})
    else:
        print_lines(refusal_lines(version, reasons))
    click.get_current_context().exit(1)


def _change(
    backend: Backend, change: Change, now: datetime, *, as_json: bool, judged_at: int | None = None, **told: list[str]
) -> None:
    """Make the change and say what came of it."""
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


def _why(reason: str, reasons: Sequence[str], run: Run | None, traffic: float | None, eval_sets: Sequence[Path]) -> str:
    parts = [
        reason,
        "" if traffic is None else f"traffic {traffic:.3g}",
        f"run {run.id}" if run else "",
        f"judged over {', '.join(map(str, eval_sets))} alone" if eval_sets else "",
        f"against: {'; '.join(reasons)}" if reasons else "",
    ]
    return "; ".join(part for part in parts if part)


def _todays(named: Sequence[Path]) -> list[EvalSet]:
    root = Path.cwd()
    files = find_eval_sets([path.resolve() for path in named] or [root], root=root, patterns=EVAL_SET_PATTERNS)
    return load_eval_sets(files, root=root)


def _check_reason(reason: str, *, force: bool) -> None:
    if force and not reason.strip():
        raise RegistryError("--force needs a reason", "--force", 'add --reason "…"; it stays in the history')


def _tuned_from(model_id: str) -> str:
    return base_of(model_id) if model_id.startswith("ft:") else ""


def _hashed(path: Path) -> TrainingFile:
    with path.open("rb") as file:
        return TrainingFile(path=path.as_posix(), sha256=hashlib.file_digest(file, "sha256").hexdigest())


COMMANDS: tuple[click.Command, ...] = (add, canary, promote, rollback, reject, retire, rollout)
