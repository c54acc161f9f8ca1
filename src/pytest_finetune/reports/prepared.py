"""The result of `data prepare` as terminal lines and as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten
from pytest_finetune.reports.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.prepare import Prepared
    from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts
    from pytest_finetune.reports.text import Line

SHOWN = 5
_NUMBER = re.compile(r"\d+")


def left_out_lines(source: Path, left_out: LeftOuts, *, what: str) -> Iterator[Line]:
    """The skipped records by reason, each reason with its first line and a count."""
    if not left_out.count:
        return
    yield f"{left_out.count:,} {what}{'' if left_out.count == 1 else 's'} skipped:", {"yellow": True}
    groups: dict[str, list[LeftOut]] = {}
    for each in left_out.listed:
        groups.setdefault(_NUMBER.sub("#", each.reason), []).append(each)
    shown = list(groups.values())[:SHOWN]
    for first, *others in shown:
        more = f" (and {len(others):,} more)" if others else ""
        yield from wrapped(f"  {source}:{first.line}: {shorten(first.reason, 300)}{more}")
    if left := left_out.count - sum(map(len, shown)):
        yield f"  … and {left:,} more: --json lists them", {}


def left_out_json(left_out: LeftOuts) -> dict[str, Any]:
    """The skipped records as JSON."""
    records = [{"line": each.line, "reason": each.reason} for each in left_out.listed]
    return {"left_out": left_out.count, "left_out_records": records}


def prepared_lines(prepared: Prepared, source: Path, target: Path) -> Iterator[Line]:
    """Counts, skipped records, and fields that were dropped or not mapped."""
    written = f"{prepared.written:,} example{'' if prepared.written == 1 else 's'} written"
    yield from wrapped(f"{target}: {written}", {"bold": True})
    yield from left_out_lines(source, prepared.left_out, what="record")
    if prepared.replaced_system:
        yield from wrapped(f"note: --system replaced {prepared.replaced_system:,} other system prompts")
    if prepared.without_media:
        removed = f"{prepared.without_media:,} example{'s' * (prepared.without_media != 1)}"
        yield from wrapped(f"note: removed the marks of the dropped media, such as <image>, from {removed}")
    if prepared.not_kept:
        dropped = _counts(prepared.not_kept)
        yield from wrapped(f"note: dropped, not part of OpenAI's format: {dropped} (--keep keeps it)")
    if prepared.unused:
        yield from wrapped(f"note: not used: {_counts(prepared.unused)} (--map assigns fields)")


def prepared_json(prepared: Prepared, source: Path, target: Path) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "source": str(source),
        "target": str(target),
        "written": prepared.written,
        **left_out_json(prepared.left_out),
        "replaced_system": prepared.replaced_system,
        "without_media": prepared.without_media,
        "not_kept": dict(prepared.not_kept),
        "unused": dict(prepared.unused),
    }


def _counts(found: Mapping[str, int]) -> str:
    names = sorted(found, key=lambda name: (-found[name], name))
    shown = ", ".join(f"{shorten(name, 40)} ({found[name]:,})" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
