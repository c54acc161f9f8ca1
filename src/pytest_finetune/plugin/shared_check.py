"""One check for all processes of a session: the first that needs the result runs it, the others read its findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.files import write_file
from pytest_finetune.lifecycle.data.check import CheckResult
from pytest_finetune.lifecycle.data.finding import Finding, Severity
from pytest_finetune.reports.findings import check_json

if TYPE_CHECKING:
    from collections.abc import Callable


def check_once(folder: str, check: Callable[[], CheckResult]) -> CheckResult:
    """
    The result of a check, which another process may have run already.

    Args:
        folder: Shared by the processes of one session; empty, or missing on this machine, if there is no other process
            to share with.
        check: Runs the check.
    """
    if not folder or not Path(folder).is_dir():
        return check()
    from filelock import FileLock

    kept = Path(folder, "findings.json")
    # Later processes wait. The lock of a process that dies is released, and the next one runs the check.
    with FileLock(Path(folder, "lock")):
        if kept.exists():
            return _read(json.loads(kept.read_bytes()))
        result = check()
        write_file(kept, json.dumps(check_json(result)).encode())
        return result


def _read(kept: dict[str, Any]) -> CheckResult:
    return CheckResult(
        tuple(Finding(**each | {"severity": Severity[each["severity"].upper()]}) for each in kept["findings"]),
        {(each["file"], each["code"]): each["count"] for each in kept["counts"]},
        kept["rows"],
    )
