"""The result of an evaluation, as `run` and `runs merge` print it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.evaluation.record import totals_of
from pytest_finetune.evaluation.results import verdict_record
from pytest_finetune.reports.terminal import Layout, summary_lines

if TYPE_CHECKING:
    from typing import Any

    from pytest_finetune.api.result import EvaluationResult


def print_result(result: EvaluationResult, *, as_json: bool) -> None:
    """The closing section of a session, or its facts as JSON."""
    if as_json:
        print_json(_result_json(result))
    else:
        print_lines(summary_lines([result.reported], Layout(width=shutil.get_terminal_size().columns)))


def exit_code(result: EvaluationResult) -> int:
    """0 if every gate passed, 1 if not, 2 if the run stopped early."""
    return 2 if result.stopped else 0 if result.passed else 1


def _result_json(result: EvaluationResult) -> dict[str, Any]:
    manifest = result.run.manifest if result.run else None
    verdicts = manifest.verdicts if manifest else tuple(map(verdict_record, result.verdicts))
    totals = manifest.totals if manifest else totals_of(result.sets, ())
    return {
        "model": result.model,
        "passed": result.passed,
        "outcome": result.outcome.words,
        "reasons": result.outcome.reasons,
        "run": result.run.id if result.run else "",
        "closed": manifest is not None and manifest.closed,
        "stopped": result.stopped.message if result.stopped else "",
        "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
        "totals": totals.model_dump(mode="json"),
        "warnings": list(manifest.warnings if manifest else result.reported.warnings),
    }
