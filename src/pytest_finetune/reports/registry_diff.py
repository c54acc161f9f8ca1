"""Differences between two versions, or two states of a registry: fields, metrics and verdicts, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten, shown
from pytest_finetune.reports.text import WIDTH, number, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_finetune.lifecycle.registry.entry import Entry, Registry
    from pytest_finetune.reports.text import Line

Facts = dict[str, Any]

_CELL = 20
_PLAN = {"cases", "repeats", "cases_sha256", "settings_sha256", "schema_sha256"}
_COMPARED_SEPARATELY = {"eval_sets", "spec", "model_id", "base_url", "seal"}


@dataclass(frozen=True, slots=True)
class RegistryDifference:
    """
    One fact that differs.

    Args:
        kind: `field`, `metric` or `verdict`.
        name: Path of the field, name of the metric, or gate.
        before, after: The values; None if missing.
        eval_set: Eval set of the evidence; empty for a fact of the version itself.
    """

    kind: str
    name: str
    before: Any
    after: Any
    eval_set: str = ""


def version_differences(before: Entry, after: Entry) -> list[RegistryDifference]:
    """Differences between two versions: fields first, then metrics and verdicts by eval set."""
    old, new = _facts(before), _facts(after)
    return [one for group in old | new for one in _compared(*group, old.get(group, {}), new.get(group, {}))]


def registry_differences(before: Registry, after: Registry) -> dict[str, list[RegistryDifference]]:
    """
    What changed between two states of a registry, by version; unchanged versions are left out.

    A version that only one of them has is one difference of `status`; changes of the rollout are under `rollout`.
    """
    found = {
        version: _entry_differences(before.entries.get(version), after.entries.get(version))
        for version in before.entries | after.entries
    }
    found["rollout"] = _compared("", "field", *(_flat(one.rollout.model_dump(mode="json")) for one in (before, after)))
    return {version: differences for version, differences in found.items() if differences}


def difference_lines(title: str, differences: Sequence[RegistryDifference]) -> Iterator[Line]:
    """Tables of differences: those of the version, then those of each eval set; metrics with their change."""
    yield shorten(title, WIDTH), {"bold": True}
    for eval_set in dict.fromkeys(one.eval_set for one in differences):
        rows = [(one.name, *_cells(one)) for one in differences if one.eval_set == eval_set]
        yield from table((eval_set, "A", "B", ""), rows, wide=0)


def _cells(one: RegistryDifference) -> tuple[str, str, str]:
    before, after = (_cell(value) for value in (one.before, one.after))
    both = isinstance(one.before, float) and isinstance(one.after, float)
    return before, after, f"{one.after - one.before:+.4g}" if both and one.kind == "metric" else ""


def _cell(value: object) -> str:
    if value is None or isinstance(value, float):
        return number(value)
    return shorten(value, _CELL) if isinstance(value, str) else shown(value, _CELL)


def _compared(eval_set: str, kind: str, old: Facts, new: Facts) -> list[RegistryDifference]:
    pairs = ((name, old.get(name), new.get(name)) for name in old | new)
    return [RegistryDifference(kind, name, before, after, eval_set) for name, before, after in pairs if before != after]


def _entry_differences(before: Entry | None, after: Entry | None) -> list[RegistryDifference]:
    if before and after:
        return version_differences(before, after)
    old, new = (entry.status.value if entry else None for entry in (before, after))
    return [RegistryDifference("field", "status", old, new)]


def _facts(entry: Entry) -> dict[tuple[str, str], Facts]:
    """Facts by eval set (empty for the version itself) and kind."""
    fields = _flat(entry.model_dump(mode="json", exclude={"evidence", "metrics"}))
    found: dict[tuple[str, str], Facts] = {("", "field"): fields, ("", "metric"): dict(entry.metrics)}
    if entry.evidence:
        fields |= _flat({"evidence": entry.evidence.model_dump(mode="json", exclude=_COMPARED_SEPARATELY)})
        for one in entry.evidence.eval_sets:
            found[one.name, "field"] = _flat(one.model_dump(mode="json", include=_PLAN))
            found[one.name, "metric"] = dict(one.metrics)
            found[one.name, "verdict"] = {verdict.gate: verdict.status for verdict in one.verdicts}
    return found


def _flat(value: Mapping[str, Any], prefix: str = "") -> Facts:
    """Nested objects flattened, keys joined by dots; empty values are dropped, so that empty equals missing."""
    flat: Facts = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{prefix}{key}.")
        elif inner not in (None, "", []):
            flat[f"{prefix}{key}"] = inner
    return flat
