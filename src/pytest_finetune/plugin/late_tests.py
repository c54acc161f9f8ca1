"""Tests without an item: gates, checks and the promotion, reported after the items have run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


def report_test(
    config: pytest.Config, file: str, name: str, *, failure: str, attributes: Mapping[str, object] | None = None
) -> None:
    """
    Report a test without an item, as setup, call and teardown.

    Args:
        config: The session's.
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
