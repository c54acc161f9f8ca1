"""Runs that each asked a share of the cases, merged and judged as one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.api.evaluating import baselines_of
from pytest_finetune.api.result import EvaluationResult
from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.evaluation import Evaluation
from pytest_finetune.evaluation.merging import RecordedModel, merge_runs
from pytest_finetune.lifecycle.registry.production import registry_of
from pytest_finetune.lifecycle.target_specs import make_asked_target, make_target
from pytest_finetune.reports.sources import from_session
from pytest_finetune.verdicts.evalset.copies import number_copies
from pytest_finetune.verdicts.evalset.project import configured_api
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api


def merge(
    runs: Sequence[Run], *, store: RunStore, root: Path, baseline: str = "", registry: str = "registry.json"
) -> tuple[EvaluationResult, bool]:
    """
    Merge runs, and judge the result with the eval sets of the project.

    Args:
        runs: Runs of the same plan, at least one.
        store: Where the merged run is recorded.
        root: The project's root.
        baseline: As `evaluate` takes it.
        registry: Path relative to the project, or `mlflow:URI`.

    Returns:
        The result, and whether the merged run was there already.

    Raises:
        FinetuneError: An eval set cannot be used; or the runs do not fit together, as `merge_runs` says.
    """
    sets = _eval_sets(runs[0], root)
    versions = registry_of(registry, root)
    make = partial(make_target, registry=versions, store=store, models=root / ".finetune" / "models")
    evaluation = Evaluation(
        RecordedModel(runs[0]),
        sets,
        Limits(),
        prices=project_prices(root),
        make_asked=partial(make_asked_target, base_url=None, make=make),
        to_the_end=True,
    )
    compared = baselines_of(baseline, sets, store, registry, root)
    recorded, was_there = merge_runs(evaluation, runs, store=store, root=root, baselines=compared)
    reported = from_session(evaluation, recorded.results)
    return EvaluationResult(reported.model, evaluation.run, recorded.results, recorded.stopped, reported), was_there


def _eval_sets(run: Run, root: Path) -> list[EvalSet]:
    loaded = []
    for plan in run.manifest.eval_sets:
        path = root / plan.name
        if not path.exists():
            raise RunError(f"there is no eval set {plan.name}", str(root), "merge in the folder of the project")
        # An API chosen on the command line is part of the settings, and only their hash tells which.
        apis: list[Api | None] = [configured_api(root), None, "chat", "responses"]
        each = [load_eval_sets([path], root=root, repeats=plan.repeats, api=api)[0] for api in apis]
        loaded.append(next((one for one in each if one.settings_sha256 == plan.settings_sha256), each[0]))
    return number_copies(loaded)
