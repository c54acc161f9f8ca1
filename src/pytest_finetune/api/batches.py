"""A plan for an offline engine, and the evaluation of what the engine wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.api.evaluating import EvaluateOptions, evaluate_made, load_sets, run_now
from pytest_finetune.api.loading import project_of
from pytest_finetune.lifecycle.batches.offline import ExportedPlan, OfflineTarget, export_plan, read_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Unpack

    from pytest_finetune.api.evaluating import EvalSets
    from pytest_finetune.api.result import EvaluationResult
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api


def export_batch(
    eval_sets: EvalSets,
    *,
    model: str,
    output: Path,
    repeats: int | None = None,
    api: Api | None = None,
    folder: str | Path = ".",
) -> tuple[ExportedPlan, Path]:
    """
    Write the requests of a plan for an offline engine.

    Args:
        eval_sets: As `evaluate` takes them.
        model: The name that the engine serves the model under.
        output: The file of requests to write.
        repeats: Requests per case; None takes it from the settings.
        api: `chat` or `responses`; None lets the project, the eval sets and the model decide.
        folder: A folder of the project.

    Returns:
        The plan, and the file that `import_batch` reads it from.

    Raises:
        FinetuneError: An eval set cannot be used, or a file cannot be written.
    """
    start, root = project_of(folder)
    sets = load_sets(eval_sets, start, root, EvaluateOptions(repeats=repeats, api=api))
    return export_plan(sets, model, output, api=api, repeats=repeats)


def import_batch(source: Path, outputs: Sequence[Path], **options: Unpack[EvaluateOptions]) -> EvaluationResult:
    """
    Evaluate the output of an offline engine as `evaluate` does the answers of a server.

    Args:
        source: The plan that `export_batch` wrote.
        outputs: What the engine wrote.
        options: Those of `evaluate`, for the gates and the models that scorers ask.

    Raises:
        FinetuneError: The eval sets have changed since, a file cannot be read, or one belongs to another export.
    """
    exported = read_plan(source)
    _, root = project_of(options.get("folder", "."))
    chosen = EvaluateOptions(**{**options, "repeats": exported.repeats, "api": exported.api, "resume": False})

    def target(
        make: Callable[..., Target],  # noqa: ARG001
        model: str,  # noqa: ARG001
        options: EvaluateOptions,  # noqa: ARG001
        sets: Sequence[EvalSet],
    ) -> Target:
        made = OfflineTarget(exported, outputs, source=source)
        made.refuse_other_plan(sets)
        return made

    paths = [root / one.name for one in exported.eval_sets]
    return run_now(evaluate_made(paths, exported.model, chosen, target))
