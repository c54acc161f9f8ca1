"""The labels of an eval set and the cases that expect each, from its settings alone, before any scorer is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.scoring import make_scorer, scorer_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


def allowed_labels(settings: EvalSettings, scorer: str = "") -> tuple[str, ...]:
    """The labels that a scorer of the settings allows; empty if it has none, or cannot be made."""
    found = _scorer(settings, scorer)
    return found.labels if found else ()


def cases_by_label(settings: EvalSettings, scorer: str, cases: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases by the label that they expect first; those that expect none of the labels are left out."""
    made = _scorer(settings, scorer)
    found: dict[str, list[Case]] = {}
    if made and (label_of := made.expected_label):
        for case in cases:
            if case.expected and made.check(case) is None:
                found.setdefault(label_of(case), []).append(case)
    return found


def _scorer(settings: EvalSettings, name: str) -> Scorer | None:
    try:
        # Labels are in the settings, so the folder does not matter.
        only = settings.only(name)
        return make_scorer(only, Path()) if "recall" in scorer_class(only.scorer).metrics else None
    except (ScorerError, KeyError):
        return None
