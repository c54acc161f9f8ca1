"""Whether a gate still demands what another one demanded, and in what it demands less."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.verdicts.rule import Rule

# Where every case passes in every attempt, these are 1, and nothing can have dropped.
_PERFECT_IF_ALL_PASS = ("accuracy", "macro_f1", "weighted_f1", "recall", "field_accuracy")


def lost_demand(before: Rule, now: Sequence[Rule]) -> str:
    """
    What none of today's gates demands any more of what a gate demanded, in one clause; empty if nothing was lost.

    A gate over all cases does not replace one over a slice: a mean may hide that the slice became worse.
    """
    now = [rule for rule in now if rule.scorer == before.scorer]
    tags = {tag for rule in now if rule.kind == "must_pass" and not _weaker(before, rule) for tag in rule.tags}
    if before.kind == "must_pass" and tags.issuperset(before.tags):
        return ""
    if any(_implies(rule, before) for rule in now):
        return ""
    alike = [rule for rule in now if _is_alike(rule, before)]
    if not alike:
        return "no gate demands it now"
    closest = min(alike, key=lambda rule: (len(_weaker(before, rule)), bool(rule.where) != bool(before.where)))
    lost = _weaker(before, closest)
    if before.kind == "must_pass" and not lost:
        lost = [f"must_pass without {' and '.join(tag for tag in before.tags if tag not in tags)}"]
    return f"now {closest.label} with {', '.join(lost)}"


def _implies(rule: Rule, before: Rule) -> bool:
    if _all_must_pass(rule) and before.confidence is None:
        rates = before.kind in ("min", "max_drop") and before.metric in _PERFECT_IF_ALL_PASS
        if rates or before.kind in ("must_pass", "max_flips"):
            return _number(rule.max_errors) <= _number(before.max_errors)
    return _is_alike(rule, before) and before.kind != "must_pass" and not _weaker(before, rule)


def _is_alike(rule: Rule, before: Rule) -> bool:
    """Whether two gates are of one kind, and about the same; the lowest recall of all labels is about each label."""
    same_label = rule.of_label in (before.of_label, EVERY_LABEL if before.of_label else "")
    return same_label and (rule.kind, rule.metric, rule.field) == (before.kind, before.metric, before.field)


def _all_must_pass(rule: Rule) -> bool:
    return rule.kind == "min" and rule.metric == "accuracy" and rule.covers_all and (rule.bar or 0) >= 1


def _weaker(before: Rule, rule: Rule) -> list[str]:
    """In what a gate of the same kind and metric demands less, or something that cannot be compared."""
    return list(_differences(before, rule))


def _differences(before: Rule, rule: Rule) -> Iterator[str]:
    bar, old_bar = rule.bar or 0.0, before.bar or 0.0
    if bar < old_bar if before.kind == "min" else bar > old_bar:
        yield f"{before.kind} {bar:g} instead of {old_bar:g}"
    if before.confidence is not None and (rule.confidence or 0) < before.confidence:
        yield f"confidence {rule.confidence or 'dropped'} instead of {before.confidence}"
    if before.family and rule.family != before.family:
        yield f"family {rule.family or 'dropped'} instead of {before.family}"
    if rule.where != before.where:
        yield f"{_slice(rule)} instead of {_slice(before)}"
    if _passes_easier(before, rule):
        yield f"per_case {rule.per_case or 'dropped'} instead of {before.per_case or 'none'}"
    if rule.coverage < before.coverage:
        yield f"coverage {rule.coverage:g} instead of {before.coverage:g}"
    if rule.against != before.against:
        yield f"against {rule.against} instead of {before.against}"
    if _number(rule.max_errors) > _number(before.max_errors):
        yield f"max_errors {'unlimited' if rule.max_errors is None else rule.max_errors} instead of {before.max_errors}"


def _passes_easier(before: Rule, rule: Rule) -> bool:
    """Whether a case passes with fewer attempts; a share of passes and `m of k` differ unless m is k."""
    if before.needed is None:
        return rule.needed != rule.repeats  # all of k attempts is more than any share of them
    return rule.needed is None or rule.repeats != before.repeats or rule.needed < before.needed


def _slice(rule: Rule) -> str:
    return " and ".join(f"{key}={value}" for key, value in rule.where.items()) or "all cases"


def _number(limit: int | None) -> float:
    return math.inf if limit is None else limit
