"""What was found in data: a code that people can look up, a place, what is wrong and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(IntEnum):
    """How bad a finding is; the higher, the worse."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As people write it: `error`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing found in the data.

    Args:
        code: What kind of thing, `data/codes.py` and docs/data.md list them all.
        severity: How bad it is.
        file: The file as people know it.
        line: 1-based line; 0 where the whole file is meant.
        path: JSON path within the line, `$.messages[2].content`; empty where the whole line is meant.
        problem: What is wrong, in one clause, without a secret in it.
        hint: What to do about it.
        other: A second place, `FILE:LINE`, such as that of the first of two duplicates; empty where there is none.
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
        """`FILE:LINE`, or `FILE` where no line is meant."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON."""
        return asdict(self) | {"severity": self.severity.word}


class FindingLog:
    """
    Findings with exact counts and a bounded number of examples, so that a bad file of any length fits into memory.

    Args:
        examples: Findings that are kept of one code in one file; those beyond are counted only.
        wanted: Codes that are noted; None for all.
    """

    def __init__(self, examples: int = 1000, wanted: Iterable[str] | None = None) -> None:
        self._examples = examples
        self._wanted = None if wanted is None else frozenset(wanted)
        self._kept: list[Finding] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room."""
        if not self.wants(finding.code):
            return
        key = finding.file, finding.code
        self.counts[key] += 1
        if self.counts[key] <= self._examples:
            self._kept.append(finding)

    def count(self, file: str, code: str, more: int) -> None:
        """Count findings that are told of by no example."""
        if more and self.wants(code):
            self.counts[file, code] += more

    def wants(self, code: str) -> bool:
        """Whether findings of this code are noted at all; what nobody wants need not be looked for."""
        return self._wanted is None or code in self._wanted

    @property
    def findings(self) -> list[Finding]:
        """What was kept, ordered by file as first met, then line, then code."""
        files = {file: place for place, file in enumerate(dict.fromkeys(finding.file for finding in self._kept))}
        return sorted(self._kept, key=lambda each: (files[each.file], each.line, each.code, each.path))
