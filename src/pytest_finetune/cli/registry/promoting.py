"""The commands `canary` and `promote`, which require evidence or `--force` with a reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import click

from pytest_finetune import __version__
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.apply_change import check_reason, force_option, reason_option, take_step
from pytest_finetune.cli.registry.options import run_option, version_argument, who_option
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.cli.runs.options import find_run, runs_dir
from pytest_finetune.lifecycle.registry import assess, judged_sets, version_for
from pytest_finetune.reports.registry import caution_lines, refusal_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.lifecycle.registry import Backend

_eval_sets = click.option(
    "--eval-sets",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Eval set, or a folder of eval sets, to judge by; repeatable. Leaving out any of the project's is a reason to "
    "refuse.  [default: all eval sets of the registry's project]",
)


class _Options(TypedDict):
    """The arguments and options that both commands have."""

    backend: Backend
    version: str
    store: RunStore
    run_name: str | None
    eval_sets: Sequence[Path]
    force: bool
    reason: str
    who: str
    as_json: bool


_Function = TypeVar("_Function", bound="Callable[..., None]")


def _shared_options(function: _Function) -> _Function:
    for option in (registry_option, json_option, runs_dir, who_option, reason_option, force_option, _eval_sets):
        function = option(function)
    return run_option(function)


@exit_codes("0  success", "1  refused: the evidence is insufficient", "2  error")
@click.command()
@version_argument
@_shared_options
def promote(**options: Unpack[_Options]) -> None:
    """Promote VERSION to production, on evidence.

    The current production version becomes deprecated.

    The evidence is the run given by --run, or the one that VERSION was accepted on before. It must be a finished run of
    the same model over all eval sets of the registry's project, with their current cases, settings, schemas and
    repeats, and with every gate passed. All reasons to refuse are reported together. For the first production version,
    gates against production are skipped.
    """
    _take("promote", **options)


@exit_codes("0  success", "1  refused: the evidence is insufficient", "2  error")
@click.command()
@version_argument
@click.option("--traffic", type=click.FloatRange(0, 1), required=True, help="Share of users, 0 to 1.")
@_shared_options
def canary(*, traffic: float, **options: Unpack[_Options]) -> None:
    """Send a share of users to VERSION, on evidence.

    The evidence is the same as for `promote`. Changing the share of the current canary needs no new evidence.
    """
    _take("canary", traffic=traffic, **options)


def _take(action: str, *, traffic: float | None = None, **options: Unpack[_Options]) -> None:
    """Judge a version, and apply the change or print all refusals."""
    backend, store, as_json = options["backend"], options["store"], options["as_json"]
    registry = backend.read()
    assessment = assess(
        registry,
        version_for(registry, options["version"])[0],
        find_run(store, options["run_name"]) if options["run_name"] else None,
        lambda: judged_sets(backend, start=Path.cwd(), only=options["eval_sets"]),
        now=datetime.now(UTC),
        plugin_version=__version__,
        models=store.root.parent / "models",
        action=action,
        traffic=traffic,
    )
    check_reason(options["reason"], force=options["force"])
    refusals, cautions = list(assessment.refusals), list(assessment.cautions)
    if not as_json:
        print_lines(caution_lines(cautions))
    if refusals and not options["force"]:
        if as_json:
            print_json({"version": assessment.version, "done": False, "refusals": refusals, "cautions": cautions})
        else:
            print_lines(refusal_lines(assessment.version, refusals))
        click.get_current_context().exit(1)
    take_step(
        backend,
        assessment.change(who=options["who"], reason=options["reason"]),
        assessment.at,
        as_json=as_json,
        judged_at=assessment.seq,
        overruled=refusals,
        cautions=cautions,
    )
