"""Gates as tests of their own at the end, of three reports each: exit code, JUnit and HTML need no special case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.plugin.late_tests import report_test
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_finetune.reports.reported import ReportedRun


def report_gates(config: pytest.Config, runs: Sequence[ReportedRun]) -> None:
    """Report each gate of each judged model as a test."""
    for run in runs:
        suffix = f"[{run.model}]" if len(runs) > 1 else ""
        for part in run.sets:
            # The rule that is implied without gates is reported by the cases themselves.
            for gate in part.gates if part.gated else ():
                failure = "" if gate.status is Status.PASS else f"{part.name}: {gate.verdict.message}"
                attributes = {"finetune_model": run.model, "finetune_verdict": gate}
                name = f"gate[{gate.verdict.gate}]{suffix}"
                report_test(config, part.name, name, failure=failure, attributes=attributes)
