"""What the hooks share: the inputs of the session, its models and its outcome; each module takes the part it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest
    from pytest_finetune.plugin.session_inputs import SessionInputs
    from pytest_finetune.reports.reported import ReportedRun


class MissedCase(NamedTuple):
    """A case of a set with gates that did not pass."""

    nodeid: str
    state: str
    reason: str
    text: str


@dataclass
class SessionOutcome:
    """
    What the session ends with.

    Args:
        runs: One for each model; empty until the session is judged, and if no eval set was evaluated.
        missed: In the order of the reports.
        lines: For the end of the summary: files that were written, and warnings.
    """

    runs: list[ReportedRun] = field(default_factory=list)
    missed: list[MissedCase] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FinetuneSession:
    """The three parts."""

    inputs: SessionInputs
    models: ModelsUnderTest
    outcome: SessionOutcome = field(default_factory=SessionOutcome)


SESSION = pytest.StashKey[FinetuneSession]()
