"""The commands `canary` and `promote`, which require evidence or `--force` with a reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune import __version__
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.apply_change import check_reason, force_option, reason_option, take_step
from pytest_finetune.cli.registry.options import registry_option, run_option, version_argument, who_option
from pytest_finetune.cli.runs.options import find_run, runs_dir
from pytest_finetune.lifecycle.registry import assess, judged_sets, version_for
from pytest_finetune.reports.registry import caution_lines, refusal_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.lifecycle.registry import Assessment, Backend

_eval_sets = click.option(
    "--eval-sets",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Eval set, or a folder of eval sets, to judge by; repeatable. Leaving out any of the project's is a reason to "
    "refuse.  [default: all eval sets of the registry's project]",
)


@click.command()
@version_argument
@run_option
@_eval_sets
@force_option
@reason_option
@who_option
@runs_dir
@json_option
@registry_option
def promote(
    *,
    backend: Backend,
    version: str,
    who: str,
    store: RunStore,
    run_name: str | None,
    eval_sets: Sequence[Path],
    reason: str,
    force: bool,
    as_json: bool,
) -> None:
    """Promote VERSION to production, on evidence.

    The current production version becomes deprecated.

    The evidence is the run given by --run, or the one that VERSION was accepted on before. It must be a finished run of
    the same model over all eval sets of the registry's project, with their current cases, settings, schemas and
    repeats, and with every gate passed. All reasons to refuse are reported together. For the first production version,
    gates against production are skipped.

    \b
    Exit codes:
      0  success
      1  refused: the evidence is insufficient
      2  error
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    assessment = _assessed("promote", backend, version, store, run_name=run_name, eval_sets=eval_sets)
    _take(assessment, backend, who, reason, force=force, as_json=as_json)


@click.command()
@version_argument
@click.option("--traffic", type=click.FloatRange(0, 1), required=True, help="Share of users, 0 to 1.")
@run_option
@_eval_sets
@force_option
@reason_option
@who_option
@runs_dir
@json_option
@registry_option
def canary(
    *,
    backend: Backend,
    version: str,
    traffic: float,
    who: str,
    store: RunStore,
    run_name: str | None,
    eval_sets: Sequence[Path],
    reason: str,
    force: bool,
    as_json: bool,
) -> None:
    """Send a share of users to VERSION, on evidence.

    The evidence is the same as for `promote`. Changing the share of the current canary needs no new evidence.

    \b
    Exit codes:
      0  success
      1  refused: the evidence is insufficient
      2  error
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    assessment = _assessed("canary", backend, version, store, run_name=run_name, eval_sets=eval_sets, traffic=traffic)
    _take(assessment, backend, who, reason, force=force, as_json=as_json)


def _assessed(
    action: str,
    backend: Backend,
    spec: str,
    store: RunStore,
    *,
    run_name: str | None,
    eval_sets: Sequence[Path],
    traffic: float | None = None,
) -> Assessment:
    registry = backend.read()
    return assess(
        registry,
        version_for(registry, spec)[0],
        find_run(store, run_name) if run_name else None,
        lambda: judged_sets(backend, start=Path.cwd(), only=eval_sets),
        now=datetime.now(UTC),
        plugin_version=__version__,
        models=store.root.parent / "models",
        action=action,
        traffic=traffic,
    )


def _take(assessment: Assessment, backend: Backend, who: str, reason: str, *, force: bool, as_json: bool) -> None:
    """Apply the change, or print all refusals."""
    check_reason(reason, force=force)
    refusals, cautions = list(assessment.refusals), list(assessment.cautions)
    if not as_json:
        print_lines(caution_lines(cautions))
    if refusals and not force:
        if as_json:
            print_json({"version": assessment.version, "done": False, "refusals": refusals, "cautions": cautions})
        else:
            print_lines(refusal_lines(assessment.version, refusals))
        click.get_current_context().exit(1)
    change = assessment.change(who=who, reason=reason)
    take_step(
        backend,
        change,
        assessment.at,
        as_json=as_json,
        judged_at=assessment.seq,
        overruled=refusals,
        cautions=cautions,
    )


COMMANDS: tuple[click.Command, ...] = (canary, promote)
