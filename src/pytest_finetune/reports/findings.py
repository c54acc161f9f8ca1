"""What was found in data, as lines for people and as JSON for programs: the worst first, each code with its places."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.fix import FIXED
from pytest_finetune.reports.runs import WIDTH
from pytest_finetune.reports.text import folded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.lifecycle.data.check import CheckResult
    from pytest_finetune.lifecycle.data.finding import Finding
    from pytest_finetune.lifecycle.data.fix import Fixed
    from pytest_finetune.reports.text import Line

FEW = 3
"""Places of one code that are shown unless all are asked for."""

_MARKUP: dict[Severity, dict[str, bool]] = {
    Severity.ERROR: {"red": True, "bold": True},
    Severity.WARNING: {"yellow": True, "bold": True},
    Severity.INFO: {"bold": True},
}
_INDENT = "    "
_LONGEST = 400


def check_lines(result: CheckResult, *, show: int | None = FEW) -> Iterator[Line]:
    """All findings by code, each code with its first `show` places, or all that were kept, and a line of totals."""
    by_code = result.by_code
    for code in sorted(by_code, key=lambda code: -CODES[code].severity):
        yield from code_lines(code, by_code[code], [each for each in result.findings if each.code == code], show=show)
        yield "", {}
    yield summary_line(result)


def code_lines(
    code: str, count: int, findings: list[Finding], *, show: int | None = FEW, redact: bool = False
) -> Iterator[Line]:
    """
    One code: how bad, how many, the first places, and what to do about the first of them.

    With `redact` of each place the file and the line alone: path, problem and advice may quote the row.
    """
    severity = CODES[code].severity
    yield f"{severity.word:8}{code:40}{count:>12,}", _MARKUP[severity]
    shown = findings[:show]
    hints: dict[str, None] = {}
    for finding in shown:
        told = f"{f' {finding.path}' if finding.path else ''}: {finding.problem}"
        yield from _folded(f"{finding.place}{'' if redact else told}", _INDENT + "  ")
        hints["" if redact else finding.hint] = None
    if count > len(shown):
        kept = "" if len(findings) > len(shown) else ", of which no more places were kept"
        yield f"{_INDENT}… and {count - len(shown):,} more{kept}", {}
    yield from (line for hint in hints if hint for line in _folded(f"to do: {hint}", _INDENT + "  "))


def summary_line(result: CheckResult) -> Line:
    """How many findings of each severity, in how many rows."""
    counts = ", ".join(_counted(count, severity.word) for severity, count in result.by_severity.items())
    rows, files = sum(result.rows.values()), len(result.rows)
    markup = _MARKUP[result.worst] if result.worst else {"green": True, "bold": True}
    return f"{counts} in {rows:,} row{'s' * (rows != 1)} of {files} file{'s' * (files != 1)}", markup


def check_json(result: CheckResult) -> dict[str, Any]:
    """The findings as one JSON value; `counts` are exact, `findings` are those that were kept."""
    return {
        "rows": result.rows,
        "severities": {severity.word: count for severity, count in result.by_severity.items()},
        "counts": [{"file": file, "code": code, "count": count} for (file, code), count in result.counts.items()],
        "findings": [finding.to_dict() for finding in result.findings],
        "findings_left_out": sum(result.counts.values()) - len(result.findings),
    }


def fixed_lines(fixed: Fixed, target: Path, result: CheckResult) -> Iterator[Line]:
    """What was mended in a file, and what was left for people to do."""
    done = [f"wrote {_counted(fixed.written, 'row')} to {target}"]
    done += [f"left out {_counted(count, 'line')}: {code}" for code, count in fixed.dropped.items()]
    if fixed.trimmed:
        done.append(f"trimmed the answers of {_counted(fixed.trimmed, 'row')}")
    if fixed.cleaned:
        done.append(f"mended {', '.join(dict.fromkeys(fixed.cleaned))}")
    if left := _left_to_do(result, fixed.file):
        done.append("left as it was: " + ", ".join(f"{code} {count:,}" for code, count in left.items()))
    yield from ((line, {}) for text in done for line in folded(text, WIDTH, _INDENT))


def fixed_json(fixed: Fixed, target: Path, result: CheckResult) -> dict[str, Any]:
    """What was mended, as one JSON value."""
    left = _left_to_do(result, fixed.file)
    return asdict(fixed) | {"output": str(target), "left": left}


def _left_to_do(result: CheckResult, file: str) -> dict[str, int]:
    """Findings of a file that no fix takes away, by code."""
    return {code: count for (of, code), count in result.counts.items() if of == file and code not in FIXED}


def _folded(text: str, indent: str) -> Iterator[Line]:
    lines = folded(shorten(text, _LONGEST), WIDTH - len(_INDENT), indent.removeprefix(_INDENT))
    return ((f"{_INDENT}{line}", {}) for line in lines)


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1 and word != 'info')}"
