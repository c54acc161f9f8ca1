"""Graders of OpenAI's Evals API as scorers; what has no equal scorer is reported, never approximated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import NOTHING
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.importing.foreign import list_of, object_of
from pytest_finetune.lifecycle.importing.python_graders import PythonGrader, python_grader
from pytest_finetune.lifecycle.importing.templates import is_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_finetune.lifecycle.importing.foreign import Findings

_STRING_CHECKS: dict[str, dict[str, Any]] = {
    "eq": {"scorer": "exact", "normalize": []},
    "like": {"scorer": "contains", "normalize": []},
    "ilike": {"scorer": "contains", "normalize": ["casefold"]},
    "ne": {"scorer": {"type": "not", "of": "exact"}, "normalize": []},
}
_SIMILARITIES = {"fuzzy_match": "fuzzy", "rouge_l": "rouge_l", "bleu": "bleu"}
# What the name of a scorer may not have.
_NO_NAME = re.compile(r"[^A-Za-z0-9_.:/ -]+")
_REASONS = {
    "label_model": "a model as judge",
    "score_model": "a model as judge",
}


@dataclass(frozen=True, slots=True)
class _Grader:
    """A grader that was carried over: its name, the settings of its scorer, and the template of what it expects."""

    name: str
    settings: Mapping[str, Any]
    reference: str


@dataclass(frozen=True, slots=True)
class CarriedGraders:
    """
    What the graders of an eval need in its cases.

    Args:
        reference: Template of the expected answer; empty if no grader was carried over.
        others: Templates of what the other scorers expect, by their key in the metadata of a case.
    """

    reference: str = ""
    others: Mapping[str, str] = field(default_factory=lambda: NOTHING)


def carry_graders(criteria: object, expected: str, findings: Findings) -> CarriedGraders:
    """
    Carry over the graders that have an equal scorer, several of them as `[[scorers]]`; the others are reported.

    Args:
        criteria: The `testing_criteria` of an eval.
        expected: Template of the expected answer that the user named; empty without.
        findings: Receives the settings, and what was not carried over.
    """
    found = list(_each_carried(criteria if isinstance(criteria, list) else [], findings))
    if not found:
        return CarriedGraders()
    first, *others = found
    if not others:
        findings.settings |= first.settings
        return CarriedGraders(first.reference)
    reference = expected or first.reference
    keys = {each.name: f"expected_{each.name}" for each in others if each.reference != reference}
    findings.settings["scorers"] = [_table(each, keys.get(each.name, "")) for each in found]
    findings.settings["scorers"][0]["decides"] = True
    findings.note(
        f"{first.name!r} decides whether a case passes; the other graders are judged by gates with scorer = their name"
    )
    return CarriedGraders(reference, {keys[each.name]: each.reference for each in others if each.name in keys})


def _each_carried(criteria: Iterable[object], findings: Findings, prefix: str = "") -> Iterator[_Grader]:
    for number, criterion in enumerate(criteria, 1):
        grader = criterion if isinstance(criterion, dict) else {}
        given = f"{prefix}{grader.get('name') or number}"
        title = f"grader {given!r} ({grader.get('type', 'no type')})"
        if grader.get("type") == "multi":
            parts = grader.get("graders")
            listed = [{"name": name, **object_of(each)} for name, each in object_of(parts).items()]
            formula = shorten(str(grader.get("calculate_output")))
            findings.not_carried[f"{title}: the formula {formula!r}; its graders are scorers of their own"] += 1
            yield from _each_carried(listed or list_of(parts), findings, f"{given}/")
            continue
        name = _NO_NAME.sub("-", given).strip("-") or f"grader-{number}"
        found = python_grader(name, grader) if grader.get("type") == "python" else _carried(grader)
        if isinstance(found, str):
            findings.not_carried[f"{title}: {found}"] += 1
        elif isinstance(found, PythonGrader):
            findings.python_graders.append(replace(found, name=findings.unique(name)))
        else:
            yield replace(found, name=findings.unique(name))


def _table(grader: _Grader, key: str) -> dict[str, Any]:
    """The grader as a table of `[[scorers]]`."""
    scorer = grader.settings["scorer"]
    own = {**scorer} if isinstance(scorer, dict) else {"type": scorer}
    rest = {name: value for name, value in grader.settings.items() if name != "scorer"}
    return {"name": grader.name, **own, **rest, **({"expected": key} if key else {})}


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
    return settings if isinstance(settings, str) else _Grader("", settings, reference)


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
