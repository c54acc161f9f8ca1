"""A profile of training data as terminal lines and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.labels import WHY_NO_LABELS
from pytest_finetune.reports.text import fitted, listed_counts, padded, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.profile import Distribution, Profile
    from pytest_finetune.lifecycle.data.raw_rows import LeftOuts
    from pytest_finetune.reports.text import Line

NAMES = {
    "tokens": "tokens",
    "asked": "prompt characters",
    "answered": "answer characters",
    "messages": "messages",
}
HEADS = ("min", "5 %", "median", "mean", "95 %", "max")
"""Column headings for `figures`."""

SHOWN_LABELS = 30
_NAME, _BAR = 24, 36


def profile_lines(profile: Profile, findings: Mapping[str, int] | None, source: Path) -> Iterator[Line]:
    """
    The whole profile, which fits on one or two screens.

    Args:
        profile: The profile of the file.
        findings: Number of findings per code; None if the data was not checked.
        source: The file.
    """
    yield f"{fitted(str(source), 60)}: {profile.rows:,} rows", {"bold": True}
    yield f"{'per row':<20}" + "".join(f"{name:>10}" for name in HEADS), {}
    for name, each in profile.lengths.items():
        yield f"{NAMES[name]:<20}" + "".join(f"{figure:>10}" for figure in length_figures(each)), {}
    yield from wrapped(f"tokens per epoch: {tokens_text(profile)}", indent=2)
    yield from _counted("answers", profile.answers)
    yield from wrapped(f"system prompts: {prompts_text(profile)}", indent=2)
    yield from _counted("languages", profile.languages)
    yield from _counted("scripts", profile.scripts)
    yield from _label_lines(profile)
    yield from _finding_lines(findings)


def profile_json(
    profile: Profile, findings: Mapping[str, int] | None, left_out: LeftOuts, source: Path
) -> dict[str, Any]:
    """The profile as JSON."""
    found = None if findings is None else {code: _finding_json(code, count) for code, count in findings.items()}
    return {"source": str(source), **asdict(profile), "left_out": left_out.count, "findings": found}


def prompts_text(profile: Profile) -> str:
    """The number of system prompts, and of rows without one or with tools."""
    parts = [f"{profile.system_prompts:,} different"]
    if profile.without_system:
        parts.append(f"{profile.without_system:,} rows without one")
    if profile.with_tools:
        parts.append(f"{profile.with_tools:,} rows with tools")
    return ", ".join(parts)


def tokens_text(profile: Profile) -> str:
    """The tokens of one epoch, how they were counted, and what was not."""
    left = f", without {listed_counts(profile.not_counted)}" if profile.not_counted else ""
    return f"{profile.tokens:,} ({profile.tokenizer}{left})"


def share(count: int, total: int) -> str:
    """A share of the rows in percent; `-` if there are none."""
    return f"{count / total:.1%}" if total else "-"


def length_figures(each: Distribution) -> list[str]:
    """Minimum, 5 %, median, mean, 95 % and maximum, formatted."""
    mean = "-" if each.mean is None else f"{each.mean:,.1f}"
    numbers = [f"{number:,}" for number in (each.least, each.low, each.median, each.high, each.most)]
    return [*numbers[:3], mean, *numbers[3:]]


def _counted(what: str, counts: Mapping[str, int]) -> Iterator[Line]:
    total = sum(counts.values())
    shown = ", ".join(f"{name} {count:,} ({share(count, total)})" for name, count in counts.items())
    yield from wrapped(f"{what}: {shown}", indent=2)


def _label_lines(profile: Profile) -> Iterator[Line]:
    if not profile.labels:
        yield f"labels: none (answers are {WHY_NO_LABELS})", {}
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
        yield ("findings: not checked", {}) if findings is None else ("findings: none", {"green": True})
        return
    yield "findings (data check shows where)", {"bold": True}
    for code, count in findings.items():
        severity = CODES[code].severity
        colour = {"error": "red", "warning": "yellow"}.get(severity.word)
        yield f"  {severity.word:<8} {code:<34} {count:>8,}", {colour: True} if colour else {}


def _finding_json(code: str, count: int) -> dict[str, Any]:
    return {"count": count, "severity": CODES[code].severity.word}
