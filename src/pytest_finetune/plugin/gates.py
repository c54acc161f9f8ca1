"""Gates as tests of their own at the end, of three reports each: exit code, JUnit and HTML need no special case."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.gates import Status

if TYPE_CHECKING:
    from pytest_finetune.evaluation import SetResult
    from pytest_finetune.gates import Verdict
    from pytest_finetune.plugin.session import FinetuneSession


def report_gates(config: pytest.Config, session: FinetuneSession) -> None:
    """Send the verdicts of all sets that have gates through pytest's own reporting hooks."""
    for result in session.results:
        if result.eval_set.settings.gates and session.is_judged(result):
            for verdict in result.verdicts:
                _report(config, result, verdict, f"[{result.model}]" if session.columns else "")


def _report(config: pytest.Config, result: SetResult, verdict: Verdict, suffix: str) -> None:
    name = f"gate[{verdict.gate}]{suffix}"
    nodeid = f"{result.eval_set.name}::{name}"
    path = os.path.relpath(result.eval_set.path, config.rootpath)
    location = (path, None, name)
    config.hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    passed = verdict.status is Status.PASS
    for when in ("setup", "call", "teardown"):
        failed = when == "call" and not passed
        report = pytest.TestReport(
            nodeid=nodeid,
            location=location,
            keywords={name: 1, "gate": 1},
            outcome="failed" if failed else "passed",
            longrepr=f"{result.eval_set.name}: {verdict.message}" if failed else None,
            when=when,
        )
        report.finetune_gate = verdict.status.value  # type: ignore[attr-defined]
        config.hook.pytest_runtest_logreport(report=report)
    config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
