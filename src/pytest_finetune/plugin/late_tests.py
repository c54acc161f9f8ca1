"""
Tests without an item, reported after the items have run: the gates and the promotion.

They are ordinary test reports, so exit codes, JUnit and HTML files need no special case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.reports.reported import ReportedRun


def report_gates(config: pytest.Config, runs: Sequence[ReportedRun]) -> None:
    """Report each gate of each judged model as a test."""
    for run in runs:
        suffix = f"[{run.spec or run.model}]" if len(runs) > 1 else ""
        for part in run.sets:
            # The rule that is implied without gates is reported by the cases themselves.
            for gate in part.gates if part.gated else ():
                failure = "" if gate.status is Status.PASS else gate.verdict.message
                attributes = {"finetune_model": run.spec or run.model, "finetune_verdict": gate}
                name = f"gate[{gate.verdict.gate}]{suffix}"
                report_test(config, part.name, name, failure=failure, attributes=attributes)


def report_test(
    config: pytest.Config, file: str, name: str, *, failure: str, attributes: Mapping[str, object] | None = None
) -> None:
    """
    Report a test without an item, as setup, call and teardown.

    Args:
        config: The configuration of the session.
        file: Path in the test's id.
        name: Name in the test's id.
        failure: Failure text; empty if the test passed.
        attributes: Set on each of the three reports.
    """
    nodeid, location = f"{file}::{name}", (file, None, name)
    config.hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    for when in ("setup", "call", "teardown"):
        failed = when == "call" and bool(failure)
        report = pytest.TestReport(
            nodeid=nodeid,
            location=location,
            keywords={name: 1, "gate": 1},
            outcome="failed" if failed else "passed",
            longrepr=failure if failed else None,
            when=when,
        )
        vars(report).update(attributes or {})
        config.hook.pytest_runtest_logreport(report=report)
    config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
