"""The labels of an eval set and the cases that expect each, before any scorer is made."""

from __future__ import annotations

import pytest

from pytest_finetune.base.records import Case
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.label_cases import allowed_labels, cases_by_label

LABELS = EvalSettings.model_validate({"scorer": "label", "labels": ["bug", "other"]})


def case(name: str, *expected: str) -> Case:
    return Case(name, 1, (), expected)


def test_cases_are_counted_by_the_label_that_they_expect_first() -> None:
    cases = [case("a", "bug"), case("b", "other", "bug"), case("c", "bug"), case("d"), case("e", "no label")]
    found = cases_by_label(LABELS, "", cases)
    assert {label: [one.id for one in some] for label, some in found.items()} == {"bug": ["a", "c"], "other": ["b"]}
    assert allowed_labels(LABELS) == ("bug", "other")


@pytest.mark.parametrize(
    ("settings", "scorer"),
    [({"scorer": "exact"}, ""), ({"scorer": "label", "labels": ["bug"]}, "nobody"), ({"scorer": "no such scorer"}, "")],
)
def test_without_labels_there_are_none(settings: dict[str, object], scorer: str) -> None:
    made = EvalSettings.model_construct(
        **{**EvalSettings().model_dump(), **settings}
    )  # what is wrong is reported elsewhere
    assert allowed_labels(made, scorer) == ()
    assert cases_by_label(made, scorer, [case("a", "bug")]) == {}
