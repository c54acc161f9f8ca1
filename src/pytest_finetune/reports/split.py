"""The result of `data split` as terminal lines and as JSON: counts, labels, clusters and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.labels import WHY_NO_LABELS
from pytest_finetune.lifecycle.data.split import SIDES
from pytest_finetune.reports.prepared import left_out_json, left_out_lines
from pytest_finetune.reports.text import columns, fitted, padded, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.lifecycle.data.split import Split, SplitOptions
    from pytest_finetune.lifecycle.data.split_files import FileSplit
    from pytest_finetune.reports.text import Line

_LABELS, _NAMED = 30, 5
_NAME, _PATH = 32, 42


def split_lines(done: FileSplit, source: Path, options: SplitOptions) -> Iterator[Line]:
    """Rows per side and label, clusters that were kept together, and the seed."""
    split, total = done.split, len(done.split.sides)
    for side, path in done.targets.items():
        share = split.rows[side] / total
        yield f"{side:<10}  {split.rows[side]:>9,} rows  {share:>6.1%}  {fitted(str(path), _PATH)}", {"bold": True}
    yield from left_out_lines(source, done.left_out, what="line")
    yield from _label_lines(done, options)
    yield from _together_lines(split, options)
    moved = "can move a few others" if options.stratify else "does not move the others"
    yield from wrapped(
        f"seed {shorten(options.seed, 40)}: the same rows go to the same sides; adding rows {moved}", indent=2
    )
    for warning in split_warnings(done, options):
        yield from wrapped(f"warning: {warning}", {"yellow": True}, indent=2)


def split_json(done: FileSplit, source: Path, options: SplitOptions) -> dict[str, Any]:
    """The result as JSON."""
    split = done.split
    return {
        "source": str(source),
        "seed": options.seed,
        "asked": {"validation": options.validation, "test": options.test},
        "stratify": options.stratify,
        "sides": {side: {"file": str(path), "rows": split.rows[side]} for side, path in done.targets.items()},
        **left_out_json(done.left_out),
        "labels": {label: {side: counts[side] for side in done.targets} for label, counts in split.labels.items()},
        "clusters": {"count": split.clusters, "rows": split.clustered, "largest": split.largest},
        "groups": {"by": options.group_by, "count": split.groups, "without": split.ungrouped},
        "warnings": list(split_warnings(done, options)),
    }


def split_warnings(done: FileSplit, options: SplitOptions) -> Iterator[str]:
    """What to know before training on the result."""
    split, total = done.split, len(done.split.sides)
    for side in done.targets:
        if not split.rows[side]:
            yield f"{side} has no rows: there are too few clusters; try another --seed, or --stratify"
    lacking = {
        side: [label for label, counts in split.labels.items() if not counts[side]]
        for side in done.targets
        if split.rows[side]
    }
    for side, labels in lacking.items():
        if labels:
            names = ", ".join(shorten(label, _NAME) for label in labels[:_NAMED]) + (
                ", …" if len(labels) > _NAMED else ""
            )
            count = f"{len(labels)} label{'' if len(labels) == 1 else 's'}"
            yield f"{side} has no rows with {count}: {names}; try --stratify"
    least = min((share for share in (options.validation, options.test) if share), default=1.0)
    if split.largest > max(1, least * total):
        yield (
            f"the largest cluster has {split.largest:,} rows, more than a side should have: their prompts are nearly "
            "equal, or they are one group; --exact-only keeps only equal prompts together"
        )
    if options.group_by and split.ungrouped:
        yield f"{split.ungrouped:,} rows have no {shorten(options.group_by, _NAME)!r} and are assigned by their content"


def _label_lines(done: FileSplit, options: SplitOptions) -> Iterator[Line]:
    labels = done.split.labels
    if not labels:
        values = f"the values of {shorten(options.label_by, 40)!r}" if options.label_by else "the answers"
        hint = "" if options.label_by else "; --label-by KEY takes a key of a JSON answer"
        yield from wrapped(f"no labels: {values} are {WHY_NO_LABELS}{hint}", indent=2)
        return
    shown = sorted(labels, key=lambda label: (-sum(labels[label].values()), label))[:_LABELS]
    names = {label: fitted(label, _NAME) for label in shown}
    wide = max(5, *map(columns, names.values()))
    yield f"{'label':<{wide}}  " + "  ".join(f"{side:>10}" for side in done.targets), {"bold": True}
    for label in shown:
        yield f"{padded(names[label], wide)}  " + "  ".join(f"{labels[label][s]:>10,}" for s in done.targets), {}
    if len(labels) > _LABELS:
        yield f"… and {len(labels) - _LABELS:,} more labels: --json lists them", {}


def _together_lines(split: Split, options: SplitOptions) -> Iterator[Line]:
    alike = "equal or nearly equal prompts" if options.near else "equal prompts"
    groups = f", or one of {split.groups:,} values of {shorten(options.group_by, _NAME)}" if options.group_by else ""
    clusters = f"{split.clusters:,} cluster{'' if split.clusters == 1 else 's'}"
    yield from wrapped(f"kept together: {clusters}, {split.clustered:,} rows in all, with {alike}{groups}", indent=2)


def sides_with_share(options: SplitOptions) -> list[str]:
    """The sides whose share is above 0."""
    shares = (1 - options.validation - options.test, options.validation, options.test)
    return [side for side, share in zip(SIDES, shares, strict=True) if share > 0]
