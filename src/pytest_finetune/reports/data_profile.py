"""A profile of training data as lines for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.labels import NO_LABELS
from pytest_finetune.reports.text import fitted, folded, padded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.profile import Distribution, Profile
    from pytest_finetune.lifecycle.data.raw_rows import LeftOuts
    from pytest_finetune.reports.text import Line

NAMES = {
    "tokens": "tokens",
    "asked": "characters asked",
    "answered": "characters answered",
    "messages": "messages",
}
SHOWN_LABELS = 30
_WIDTH = 80
_NAME, _BAR = 24, 36


def profile_lines(profile: Profile, findings: Mapping[str, int] | None, source: Path) -> Iterator[Line]:
    """
    All of it, in a screenful or two.

    Args:
        profile: What is in the file.
        findings: How many findings the check has of each code; None where it was not asked.
        source: The file.
    """
    yield f"{fitted(str(source), 60)}: {profile.rows:,} rows", {"bold": True}
    yield (
        f"{'each row':<20}" + "".join(f"{name:>10}" for name in ("least", "5 %", "median", "mean", "95 %", "most")),
        {},
    )
    for name, each in profile.lengths.items():
        yield f"{NAMES[name]:<20}" + "".join(f"{figure:>10}" for figure in figures(each)), {}
    yield f"tokens of one epoch: {profile.tokens:,} ({profile.tokenizer})", {}
    yield from _counted("answers", profile.answers)
    yield from _folded(f"system prompts: {prompts_text(profile)}")
    yield from _counted("languages", profile.languages)
    yield from _counted("scripts", profile.scripts)
    yield from _label_lines(profile)
    yield from _finding_lines(findings)


def profile_json(
    profile: Profile, findings: Mapping[str, int] | None, left_out: LeftOuts, source: Path
) -> dict[str, Any]:
    """The same for programs."""
    found = None if findings is None else {code: _finding_json(code, count) for code, count in findings.items()}
    return {"source": str(source), **asdict(profile), "left_out": left_out.count, "findings": found}


def prompts_text(profile: Profile) -> str:
    """How many system prompts there are, and how many rows have none or offer tools."""
    parts = [f"{profile.system_prompts:,} different"]
    if profile.without_system:
        parts.append(f"{profile.without_system:,} rows without one")
    if profile.with_tools:
        parts.append(f"{profile.with_tools:,} rows offer tools")
    return ", ".join(parts)


def share(count: int, total: int) -> str:
    """A part of all rows, as people write it."""
    return f"{count / total:.1%}" if total else "-"


def figures(each: Distribution) -> list[str]:
    """Least, 5 %, median, mean, 95 % and most, as people write them."""
    mean = "-" if each.mean is None else f"{each.mean:,.1f}"
    numbers = [f"{number:,}" for number in (each.least, each.low, each.median, each.high, each.most)]
    return [*numbers[:3], mean, *numbers[3:]]


def _counted(what: str, counts: Mapping[str, int]) -> Iterator[Line]:
    total = sum(counts.values())
    shown = ", ".join(f"{name} {count:,} ({share(count, total)})" for name, count in counts.items())
    yield from _folded(f"{what}: {shown}")


def _folded(text: str) -> Iterator[Line]:
    return ((line, {}) for line in folded(text, _WIDTH, "  "))


def _label_lines(profile: Profile) -> Iterator[Line]:
    if not profile.labels:
        yield f"labels: none, they are {NO_LABELS}", {}
        return
    yield f"labels: {len(profile.labels):,}", {"bold": True}
    most = max(profile.labels.values())
    for label, count in list(profile.labels.items())[:SHOWN_LABELS]:
        bar = "█" * round(_BAR * count / most)
        yield f"  {padded(fitted(label, _NAME), _NAME)}  {count:>7,}  {bar}", {}
    if len(profile.labels) > SHOWN_LABELS:
        yield f"  … and {len(profile.labels) - SHOWN_LABELS:,} more: --json lists them", {}


def _finding_lines(findings: Mapping[str, int] | None) -> Iterator[Line]:
    if not findings:
        yield ("findings: not looked for", {}) if findings is None else ("findings: none", {"green": True})
        return
    yield "findings (data check tells where)", {"bold": True}
    for code, count in findings.items():
        severity = CODES[code].severity
        colour = {"error": "red", "warning": "yellow"}.get(severity.word)
        yield f"  {severity.word:<8} {code:<34} {count:>8,}", {colour: True} if colour else {}


def _finding_json(code: str, count: int) -> dict[str, Any]:
    return {"count": count, "severity": CODES[code].severity.word}
