"""Findings in data as terminal lines and as JSON: the most severe first, each code with its locations."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.fix import FIXED
from pytest_finetune.reports.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.lifecycle.data.check_result import CheckResult
    from pytest_finetune.lifecycle.data.finding import Finding
    from pytest_finetune.lifecycle.data.fix import Fixed
    from pytest_finetune.reports.text import Line

FEW = 3
"""Locations shown per code unless all are requested."""

_MARKUP: dict[Severity, dict[str, bool]] = {
    Severity.ERROR: {"red": True, "bold": True},
    Severity.WARNING: {"yellow": True, "bold": True},
    Severity.INFO: {"bold": True},
}
_INDENT = "    "
_LONGEST = 400
_NUMBER = re.compile(r"\d+")


def check_lines(result: CheckResult, *, show: int | None = FEW) -> Iterator[Line]:
    """Findings by code, each with its first `show` locations (None: all that were kept), and a line of totals."""
    by_code = result.by_code
    for code in sorted(by_code, key=lambda code: -CODES[code].severity):
        yield from code_lines(code, by_code[code], [each for each in result.findings if each.code == code], show=show)
        yield "", {}
    yield summary_line(result)


def code_lines(
    code: str, count: int, findings: list[Finding], *, show: int | None = FEW, redact: bool = False
) -> Iterator[Line]:
    """
    One code: its severity, count, first locations, and hints on how to fix them.

    With `redact` only file and line are shown, because path, problem and hint may quote the row.
    """
    severity = CODES[code].severity
    yield f"{severity.word:8}{code:40}{count:>12,}", _MARKUP[severity]
    groups = [[finding] for finding in findings] if redact or show is None else _alike(findings)
    hints: dict[str, None] = {}
    for finding, others in _shown(groups, show):
        problem = f"{f' {finding.path}' if finding.path else ''}: {finding.problem}"
        more = f" (and {others:,} more)" if others else ""
        yield from _indented(f"{finding.place}{'' if redact else problem}{more}")
        hints["" if redact else finding.hint] = None
    left = count - sum(map(len, groups[:show]))
    if left:
        kept = "" if len(groups) > len(groups[:show]) else " (locations not kept)"
        yield f"{_INDENT}… and {left:,} more{kept}", {}
    yield from (line for hint in hints if hint for line in _indented(f"hint: {hint}"))


def _alike(findings: list[Finding]) -> list[list[Finding]]:
    """The findings grouped by file, path and problem, whatever numbers these contain."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        key = finding.file, *(_NUMBER.sub("#", text) for text in (finding.path, finding.problem)), finding.hint
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _shown(groups: list[list[Finding]], show: int | None) -> Iterator[tuple[Finding, int]]:
    """
    The findings to show, each with the number of those like it that are not shown.

    Of findings that name two rows each is another pair, so that several of a group are shown if there is room.
    """
    spare = 0 if show is None else max(show - len(groups), 0)
    for group in groups[:show]:
        further = min(spare, len(group) - 1) if group[0].other else 0
        spare -= further
        yield from ((finding, 0) for finding in group[:further])
        yield group[further], len(group) - further - 1


def summary_line(result: CheckResult) -> Line:
    """Number of findings per severity, and of rows and files checked."""
    counts = ", ".join(_counted(count, severity.word) for severity, count in result.by_severity.items())
    rows, files = sum(result.rows.values()), len(result.rows)
    markup = _MARKUP[result.worst] if result.worst else {"green": True, "bold": True}
    return f"{counts} in {rows:,} row{'s' * (rows != 1)} of {files} file{'s' * (files != 1)}", markup


def check_json(result: CheckResult) -> dict[str, Any]:
    """The findings as JSON; `counts` are exact, `findings` are those that were kept."""
    return {
        "rows": result.rows,
        "severities": {severity.word: count for severity, count in result.by_severity.items()},
        "counts": [{"file": file, "code": code, "count": count} for (file, code), count in result.counts.items()],
        "findings": [finding.to_dict() for finding in result.findings],
        "findings_left_out": sum(result.counts.values()) - len(result.findings),
    }


def fixed_lines(fixed: Fixed, target: Path, result: CheckResult) -> Iterator[Line]:
    """What was fixed in a file, and what was not."""
    done = [f"wrote {_counted(fixed.written, 'row')} to {target}"]
    done += [f"removed {_counted(count, 'line')}: {code}" for code, count in fixed.dropped.items()]
    if fixed.trimmed:
        done.append(f"trimmed the answers of {_counted(fixed.trimmed, 'row')}")
    if fixed.cleaned:
        done.append(f"fixed {', '.join(dict.fromkeys(fixed.cleaned))}")
    if left := _not_fixed(result, fixed.file):
        done.append("not fixed: " + ", ".join(f"{code} {count:,}" for code, count in left.items()))
    yield from (line for text in done for line in wrapped(text))


def fixed_json(fixed: Fixed, target: Path, result: CheckResult) -> dict[str, Any]:
    """The fixes as JSON."""
    left = _not_fixed(result, fixed.file)
    return asdict(fixed) | {"output": str(target), "left": left}


def _not_fixed(result: CheckResult, file: str) -> dict[str, int]:
    """Number of findings in a file that have no fix, by code."""
    return {code: count for (of, code), count in result.counts.items() if of == file and code not in FIXED}


def _indented(text: str) -> Iterator[Line]:
    return wrapped(f"{_INDENT}{shorten(text, _LONGEST)}", indent=len(_INDENT) + 2)


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1 and word != 'info')}"
