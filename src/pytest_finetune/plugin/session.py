"""What the hooks share: the inputs of the session, its models and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

from pytest_finetune.base.records import Sample, State
from pytest_finetune.evaluation.plan import target_title
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.base.records import Case, Failure
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest
    from pytest_finetune.plugin.session_inputs import SessionInputs
    from pytest_finetune.reports.reported import ReportedRun
    from pytest_finetune.verdicts.evalset import EvalSet


class MissedCase(NamedTuple):
    """A case of a set with gates that did not pass."""

    nodeid: str
    state: str
    reason: str
    text: str


@dataclass
class SessionOutcome:
    """
    The results of the session.

    Args:
        runs: One for each model; empty until the session is judged, and if no eval set was evaluated.
        missed: Missed cases, in the order of their reports.
        lines: Lines for the end of the summary: files that were written, and warnings.
    """

    runs: list[ReportedRun] = field(default_factory=list)
    missed: list[MissedCase] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FinetuneSession:
    """Inputs, models and outcome of the session; each module takes the part that it needs."""

    inputs: SessionInputs
    models: ModelsUnderTest
    outcome: SessionOutcome = field(default_factory=SessionOutcome)


class ReportedCases:
    """The cases of a session by model, eval set and id, with the samples so far."""

    def __init__(self, eval_sets: Iterable[EvalSet], models: ModelsUnderTest) -> None:
        self._cases = {one.name: (one, {case.id: case for case in one.cases}) for one in eval_sets}
        self._evaluations = {model.spec: model.evaluation for model in models.all}

    def find(self, model: str, eval_set: str, case_id: str) -> tuple[EvalSet, Case, list[Sample]]:
        """The set, the case, and a sample for each planned attempt."""
        found, cases = self._cases[eval_set]
        samples = self._evaluations[model].samples
        keys = [(eval_set, case_id, attempt) for attempt in range(found.repeats)]
        return found, cases[case_id], [samples.get(key) or Sample(*key, State.UNRUN) for key in keys]

    def title(self, model: str) -> str:
        """The name of a model in reports."""
        return target_title(self._evaluations[model].target)

    def run_id(self, model: str) -> str:
        """Id of a model's run; empty if nothing is recorded."""
        run = self._evaluations[model].run
        return run.id if run else ""


SESSION = pytest.StashKey[FinetuneSession]()

_OWN_SKIP = pytest.StashKey[BaseException]()
"""The exception by which this project skipped a test of a case; its text quotes no prompt and no answer."""


def skip_case(item: pytest.Item, reason: str) -> NoReturn:
    """Skip a test of a case, with a reason that is shown even in redacted reports."""
    item.stash[_OWN_SKIP] = pytest.skip.Exception(reason)
    raise item.stash[_OWN_SKIP]


def skip_unrun(item: pytest.Item, stopped: Failure | None) -> NoReturn:
    """Skip a test whose samples were not requested; `stopped` is the reason, if the evaluation ended by itself."""
    redact = item.config.option.pytest_finetune_redact
    skip_case(item, f"unrun: {failure_words(stopped, redact=redact) if stopped else 'not requested'}")


def is_own_skip(item: pytest.Item, error: BaseException | None) -> bool:
    """Whether this project raised the exception that ended the test."""
    return error is not None and error is item.stash.get(_OWN_SKIP, None)
