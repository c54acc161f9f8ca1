"""Gates as tests of their own at the end, of three reports each: exit code, JUnit and HTML need no special case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.evaluation import verdict_record
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


def report_test(config: pytest.Config, file: str, name: str, *, failure: str, said: dict[str, Any]) -> None:
    """A test that no item stands behind: its three reports, `failure` being its text, empty where it passed."""
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
        vars(report).update(said)
        config.hook.pytest_runtest_logreport(report=report)
    config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)


def _report(config: pytest.Config, result: SetResult, verdict: Verdict, suffix: str) -> None:
    failure = "" if verdict.status is Status.PASS else f"{result.eval_set.name}: {verdict.message}"
    # Plain values, for a report may be written as JSON by others.
    told = {**verdict_record(verdict).model_dump(), "bar": verdict.bar, "model": result.model}
    said = {"finetune_gate": verdict.status.value, "finetune_verdict": told}
    report_test(config, result.eval_set.name, f"gate[{verdict.gate}]{suffix}", failure=failure, said=said)
