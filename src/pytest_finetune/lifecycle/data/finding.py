"""Findings in data: a code from the documented table, a severity, a location, the problem and a hint."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(IntEnum):
    """Severity of a finding; higher is worse."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """The name in options and reports: `error`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A problem found in the data.

    Args:
        code: One of `CODES`; docs/data.md lists them.
        severity: Severity of the code.
        file: Path of the file, relative to the root.
        line: 1-based line number; 0 for the whole file.
        path: JSON path within the line, `$.messages[2].content`; empty for the whole line.
        problem: What is wrong, in one clause, with secrets masked.
        hint: How to fix it.
        other: A second location, `FILE:LINE`, such as the first of two duplicates; empty if there is none.
    """

    code: str
    severity: Severity
    file: str
    line: int
    path: str
    problem: str
    hint: str
    other: str = ""

    @property
    def place(self) -> str:
        """`FILE:LINE`, or `FILE` for the whole file."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def to_dict(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self) | {"severity": self.severity.word}


class FindingLog:
    """
    Collects findings with exact counts and a bounded number of examples, so that memory is bounded for any file.

    Args:
        examples: Findings kept per code and file; further ones are only counted.
        wanted: Codes to collect; None for all.
    """

    def __init__(self, examples: int = 1000, wanted: Iterable[str] | None = None) -> None:
        self._examples = examples
        self._wanted = None if wanted is None else frozenset(wanted)
        self._kept: list[Finding] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it unless the limit of examples is reached."""
        if not self.wants(finding.code):
            return
        key = finding.file, finding.code
        self.counts[key] += 1
        if self.counts[key] <= self._examples:
            self._kept.append(finding)

    def count(self, file: str, code: str, more: int) -> None:
        """Count further findings without keeping them."""
        if more and self.wants(code):
            self.counts[file, code] += more

    def wants(self, code: str) -> bool:
        """Whether findings of this code are collected."""
        return self._wanted is None or code in self._wanted

    @property
    def findings(self) -> list[Finding]:
        """The kept findings, ordered by file in order of first occurrence, then by line and code."""
        files = {file: place for place, file in enumerate(dict.fromkeys(finding.file for finding in self._kept))}
        return sorted(self._kept, key=lambda each: (files[each.file], each.line, each.code, each.path))
