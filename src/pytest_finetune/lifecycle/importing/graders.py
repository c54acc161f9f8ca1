"""Graders of OpenAI's Evals API as scorers; what has no equal scorer is reported, never approximated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.importing.templates import is_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.lifecycle.importing.foreign import Findings

_STRING_CHECKS: dict[str, dict[str, Any]] = {
    "eq": {"scorer": "exact", "normalize": []},
    "like": {"scorer": "contains", "normalize": []},
    "ilike": {"scorer": "contains", "normalize": ["casefold"]},
    "ne": {"scorer": {"type": "not", "of": "exact"}, "normalize": []},
}
_SIMILARITIES = {"fuzzy_match": "fuzzy", "rouge_l": "rouge_l", "bleu": "bleu"}
_REASONS = {
    "label_model": "a model as judge",
    "score_model": "a model as judge",
    "python": "runs Python code; write it as a scoring function, see docs/eval-sets.md",
    "multi": "combines several graders",
}


@dataclass(frozen=True, slots=True)
class _Grader:
    """A grader that was carried over: the settings of its scorer, and the template of the expected answer."""

    settings: Mapping[str, Any]
    reference: str


def carried_reference(criteria: Sequence[object], findings: Findings) -> str:
    """
    Carry over the first grader that has an equal scorer; all others are reported.

    Returns:
        The template of the expected answer; empty if no grader was carried over.
    """
    carried: _Grader | None = None
    for number, criterion in enumerate(criteria, 1):
        grader = criterion if isinstance(criterion, dict) else {}
        name = f"grader {str(grader.get('name') or number)!r} ({grader.get('type', 'no type')})"
        found = _carried(grader)
        if isinstance(found, str):
            findings.not_carried[f"{name}: {found}"] += 1
        elif carried is not None:
            findings.not_carried[f"{name}: an eval set has one scorer; import it again into a set of its own"] += 1
        else:
            carried = found
            findings.settings |= found.settings
    return carried.reference if carried else ""


def _carried(grader: Mapping[str, Any]) -> _Grader | str:
    """The grader, or why it cannot be carried over."""
    kind, reference = grader.get("type"), grader.get("reference")
    if kind not in ("string_check", "text_similarity"):
        return _REASONS.get(str(kind), "unknown type")
    if not is_answer(grader.get("input")):
        return f"checks {grader.get('input')!r}, not the answer's text"
    if not isinstance(reference, str) or not reference:
        return "has no reference"
    settings = _check(grader) if kind == "string_check" else _similarity(grader)
    return settings if isinstance(settings, str) else _Grader(settings, reference)


def _check(grader: Mapping[str, Any]) -> Mapping[str, Any] | str:
    operation = str(grader.get("operation"))
    return _STRING_CHECKS.get(operation) or f"no scorer for the operation {operation!r}"


def _similarity(grader: Mapping[str, Any]) -> Mapping[str, Any] | str:
    metric, threshold = str(grader.get("evaluation_metric")), grader.get("pass_threshold")
    if metric not in _SIMILARITIES:
        return f"no scorer for the metric {metric!r}"
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        return "has no pass_threshold from 0 to 1"
    return {"scorer": {"type": _SIMILARITIES[metric], "threshold": float(threshold)}, "normalize": []}
