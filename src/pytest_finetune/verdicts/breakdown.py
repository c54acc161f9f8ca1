"""The results of a set by field of its JSON answers and by scorer: the share of each case, in plan order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.field_paths import is_unknown, leaf_fields
from pytest_finetune.verdicts.metrics.parts import Part, is_unscored
from pytest_finetune.verdicts.metrics.shares import one_field_share, passed_share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from pytest_finetune.verdicts.metrics.plan import CaseSamples


def field_shares(rows: Sequence[CaseSamples]) -> dict[str, list[Fraction]]:
    """
    By JSON path, how often a field is right, in the cases that expect it.

    Empty for answers without fields, and where a record does not say which are wrong.
    """
    scores = [score for row in rows for score in row.scores]
    if not any(score.fields for score in scores) or any(map(is_unknown, scores)):
        return {}
    shares: dict[str, list[Fraction]] = {}
    for row in rows:
        for field in leaf_fields(row.case):
            shares.setdefault(field, []).append(one_field_share(row, field))
    return shares


def rows_with_field(rows: Sequence[CaseSamples], field: str) -> list[CaseSamples]:
    """The cases that expect a field: those whose shares `field_shares` has."""
    return [row for row in rows if field in leaf_fields(row.case)]


def scorer_shares(rows: Sequence[CaseSamples]) -> dict[str, list[Fraction]]:
    """By the name of each scorer that does not decide, how often it passes; without those that scored only some."""
    names = dict.fromkeys(name for row in rows for score in row.scores for name in score.parts or ())
    scored = {name: Part().rows(rows, name) for name in names}
    return {
        name: [passed_share(row) for row in rows_of_scorer]
        for name, rows_of_scorer in scored.items()
        if not any(is_unscored(sample) for row in rows_of_scorer for sample in row.samples)
    }
