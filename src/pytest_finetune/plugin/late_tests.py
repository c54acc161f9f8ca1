"""Tests that no item is behind: gates, checks and the promotion, reported after the items have run."""

from __future__ import annotations

from typing import Any

import pytest


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
