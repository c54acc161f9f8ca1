"""The findings of a check of data, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.finding import Severity

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.finding import Finding


@dataclass(frozen=True, slots=True)
class CheckResult:
    """
    The result of a check.

    Args:
        findings: The kept findings, ordered by file, line and code.
        counts: Number of findings by file and code, kept or not.
        rows: Number of readable rows or cases by file.
    """

    findings: tuple[Finding, ...]
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def by_code(self) -> dict[str, int]:
        """Number of findings by code, in the order of `CODES`."""
        total: Counter[str] = Counter()
        for (_, code), count in self.counts.items():
            total[code] += count
        return {code: total[code] for code in CODES if total[code]}

    @property
    def by_severity(self) -> dict[Severity, int]:
        """Number of findings by severity, worst first, including zeros."""
        counts = dict.fromkeys(sorted(Severity, reverse=True), 0)
        for code, count in self.by_code.items():
            counts[CODES[code].severity] += count
        return counts

    @property
    def worst(self) -> Severity | None:
        """The highest severity of all findings; None without findings."""
        return max((CODES[code].severity for code in self.by_code), default=None)
