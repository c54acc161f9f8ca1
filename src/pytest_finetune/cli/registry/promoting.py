"""Commands that expose a version to users, canary and promote: they require evidence, or --force and a reason."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune import __version__
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.pytest_configuration import configured_patterns
from pytest_finetune.cli.registry.options import registry_option, run_option, version_argument, who_option
from pytest_finetune.cli.registry.steps import check_reason, force_option, reason_option, take_step
from pytest_finetune.cli.runs.options import find_run, runs_dir
from pytest_finetune.lifecycle.registry import Change, FileBackend, Status, is_before_first, production_of, version_for
from pytest_finetune.lifecycle.registry.promotion import cautions, evidence_of, history_faults, let_off, refusals
from pytest_finetune.reports.registry import caution_lines, refusal_lines
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.loading import eval_set_name, load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.lifecycle.registry import Backend, Evidence, Registry
    from pytest_finetune.verdicts.evalset import EvalSet

_eval_sets = click.option(
    "--eval-sets",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Eval set, or a folder of eval sets, to judge by; repeatable. Leaving out any of the project's is a reason to "
    "refuse.  [default: all that pytest's configuration finds below this folder]",
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
def promote(backend: Backend, version: str, who: str, *, as_json: bool, **how: Any) -> None:
    """Promote VERSION to production, on evidence.

    The current production version becomes deprecated.

    The evidence is the run given by --run, or the one that VERSION was accepted on before. It must be a finished run of
    the same model, over all current eval sets, settings, schemas and repeats, with every gate passed. All reasons to
    refuse are reported together. For the first production version, gates against production are skipped.

    \b
    Exit codes:
      0  success
      1  refused: the evidence is insufficient
      2  error
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    _let_through("promote", backend, version, who, as_json=as_json, **how)


@click.command()
@version_argument
@click.option("--traffic", type=click.FloatRange(0, 1), required=True, help="Share of users, from 0 to 1.")
@run_option
@_eval_sets
@force_option
@reason_option
@who_option
@runs_dir
@json_option
@registry_option
def canary(backend: Backend, version: str, who: str, *, as_json: bool, **how: Any) -> None:
    """Send a share of users to VERSION, on evidence.

    The evidence is the same as for `promote`. Changing the share of the current canary needs no new evidence.

    \b
    Exit codes:
      0  success
      1  refused: the evidence is insufficient
      2  error
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    _let_through("canary", backend, version, who, as_json=as_json, **how)


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
    check_reason(reason, force=force)
    now, registry = datetime.now(UTC), backend.read()
    version, entry = version_for(registry, spec)
    run = find_run(store, run_name) if run_name else None
    proof = run or entry.evidence
    # A canary has been let through already: its share needs no new evidence.
    judged = action != "canary" or run is not None or entry.status is not Status.CANARY
    today = _todays(eval_sets) if judged and proof else []
    beside: dict[str, Any] = {"production": production_of(registry), "models": store.root.parent / "models"}
    reasons = _reasons(registry, version, proof, today, now, **beside) if judged else []
    reasons += _left_out(today) if eval_sets and judged else []
    reasons += _beside_registry(backend, today) if judged and proof else []
    spared = let_off(proof, today) if judged and proof and is_before_first(registry) else []
    known = [*spared, *cautions(entry, proof, now=now, eval_sets=today, **beside)] if judged and proof else []
    if not as_json:
        print_lines(caution_lines(known))
    if reasons and not force:
        _refuse(version, reasons, known, as_json=as_json)
    change = Change(
        action,
        version,
        who,
        _why(reason, reasons, spared=spared, run=run, traffic=traffic, eval_sets=eval_sets),
        forced=bool(reasons),
        evidence=evidence_of(run, today) if run and run.manifest.closed else None,
        traffic=traffic,
    )
    take_step(backend, change, now, as_json=as_json, judged_at=registry.seq, overruled=reasons, cautions=known)


def _reasons(
    registry: Registry,
    version: str,
    proof: Run | Evidence | None,
    today: Sequence[EvalSet],
    now: datetime,
    **beside: Any,
) -> list[str]:
    if proof is None:
        told = ["there is no evidence yet: evaluate it with pytest --model=…, and name the run with --run"]
    else:
        told = refusals(
            registry.entries[version],
            proof,
            today,
            now=now,
            plugin_version=__version__,
            first=is_before_first(registry),
            **beside,
        )
    return told + history_faults(registry, version, proof)


def _refuse(version: str, reasons: list[str], known: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"version": version, "done": False, "refusals": reasons, "cautions": known})
    else:
        print_lines(refusal_lines(version, reasons))
    click.get_current_context().exit(1)


def _why(
    reason: str,
    reasons: Sequence[str],
    *,
    spared: Sequence[str],
    run: Run | None,
    traffic: float | None,
    eval_sets: Sequence[Path],
) -> str:
    parts = [
        reason,
        "" if traffic is None else f"traffic {traffic:.3g}",
        f"run {run.id}" if run else "",
        f"judged over {', '.join(map(str, eval_sets))} alone" if eval_sets else "",
        *spared,
        f"against: {'; '.join(reasons)}" if reasons else "",
    ]
    return "; ".join(part for part in parts if part)


def _todays(named: Sequence[Path]) -> list[EvalSet]:
    root = Path.cwd()
    named = [path.resolve() for path in named] or [root]
    return load_eval_sets(find_eval_sets(named, root=root, patterns=configured_patterns(root)), root=root)


def _left_out(today: Sequence[EvalSet]) -> list[str]:
    """The eval sets of the project that `--eval-sets` keeps out of the judgement."""
    root, judged = Path.cwd(), {eval_set.path.resolve() for eval_set in today}
    files = find_eval_sets([root], root=root, patterns=configured_patterns(root))
    return [f"{eval_set_name(file, root)}: left out by --eval-sets" for file in files if file.resolve() not in judged]


def _beside_registry(backend: Backend, today: Sequence[EvalSet]) -> list[str]:
    """Eval sets that lie beside a registry of another folder: judging in a corner of the project leaves them out."""
    folder = backend.path.absolute().parent if isinstance(backend, FileBackend) else Path.cwd()
    if folder.resolve() == Path.cwd():
        return []
    judged = {eval_set.path.resolve() for eval_set in today}
    own = [pattern for pattern in configured_patterns(folder) if not pattern.startswith(("*", "/"))]
    files = [file for pattern in own for file in sorted(folder.glob(pattern)) if file.suffix == ".jsonl"]
    left = [os.path.relpath(file) for file in files if file.resolve() not in judged]
    return [f"{file}: lies beside the registry, and was not judged" for file in left]
