"""One check for all processes of a session: the first that needs it makes it, and the others read what it found."""

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
    The result of a check that another process may have made already.

    Args:
        folder: Where the processes of one session meet; empty, or not there, where this one is alone or on a machine of
            its own.
        check: Makes the check.
    """
    if not folder or not Path(folder).is_dir():
        return check()
    from filelock import FileLock

    kept = Path(folder, "findings.json")
    # Whoever comes later waits; a holder that dies lets go, and the next one makes the check.
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
