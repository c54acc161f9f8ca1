"""Eval sets as pytest nodes: a file collects cases, a case waits for its own answers and says how they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import State
from pytest_finetune.plugin.report_data import CarriedSamples
from pytest_finetune.plugin.session import SESSION
from pytest_finetune.reports.failure import failure_text, short_reason
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.plugin.session import FinetuneSession, ModelUnderTest
    from pytest_finetune.verdicts.evalset import EvalSet


class CaseNotPassedError(Exception):
    """A case was missed, or could not be asked; its text is the whole failure text."""


class EvalSetFile(pytest.File):
    """One eval set; its cases in file order, each for every model."""

    def collect(self) -> Iterator[EvalItem]:
        """Make the items; nothing is read or asked here."""
        session = self.config.stash[SESSION]
        eval_set = session.eval_sets[self.path]
        for case in eval_set.cases:
            for model in session.models:
                name = f"{case.id}[{model.spec}]" if session.columns else case.id
                yield EvalItem.from_parent(self, name=name, model=model, eval_set=eval_set, case=case)


class EvalItem(pytest.Item):
    """One case for one model."""

    def __init__(self, *, model: ModelUnderTest, eval_set: EvalSet, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.eval_set, self.case = model, eval_set, case
        self.samples: list[Sample] = []
        self.extra_keyword_matches.update(case.tags)

    @property
    def gated(self) -> bool:
        """A miss is the business of the set's gates, or, in the baseline, of nobody."""
        return bool(self.eval_set.settings.gates) or not self.model.judged

    @property
    def state(self) -> State:
        """The worst that came of its samples."""
        states = {sample.state for sample in self.samples}
        return next(s for s in (State.UNRUN, State.ERROR, State.MISSED, State.UNNEEDED, State.PASSED) if s in states)

    @property
    def redacted(self) -> bool:
        """No report may show what was asked and answered."""
        return bool(self.config.option.finetune_redact)

    def setup(self) -> None:
        """Wait for the answers; where misses are failures, an error is an error in setup."""
        session = self.config.stash[SESSION]
        if not self.samples:
            self.samples = session.answers(self.model, self.eval_set, self.case)
        if self.state is State.UNRUN:
            _give_up(session, self)
        if self.state is State.UNNEEDED:
            pytest.skip("unneeded: no answer could change a verdict any more")
        if self.state is State.ERROR and not self.gated:
            raise CaseNotPassedError(self._text())

    def runtest(self) -> None:
        """Pass, or raise the failure text."""
        if self.state is not State.PASSED:
            raise CaseNotPassedError(self._text())

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,
    ) -> Any:
        """The failure text alone: a traceback through this plugin helps nobody."""
        if isinstance(excinfo.value, CaseNotPassedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """The case's own line, 0-based as pytest counts."""
        return self.path, self.case.line - 1, self.name

    def _text(self) -> str:
        return failure_text(self.eval_set, self.case, self.samples, redact=self.redacted)


def annotate(item: EvalItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """
    Put the samples on the one report that ends the case.

    In a set with gates a case that did not pass is reported as missed or errored: as an xfail to JUnit, HTML and the
    exit code, under its own name at the terminal. Any other failure, such as a broken hook, stays a failure.
    """
    ends = report.when == "call" or (report.when == "setup" and not report.passed)
    if not ends or not item.samples:
        return
    answered = tuple(sample for sample in item.samples if sample.state is not State.UNRUN)
    report.finetune = CarriedSamples(item.model.spec, answered, item.model.stopped)  # type: ignore[attr-defined]
    report.finetune_key = [item.model.spec, item.eval_set.name, item.case.id]  # type: ignore[attr-defined]
    report.finetune_state = item.state.value  # type: ignore[attr-defined]
    missed = call.excinfo is not None and isinstance(call.excinfo.value, CaseNotPassedError)
    if missed and report.when == "setup" and call.excinfo is not None:
        # pytest asks an item for its failure text in the call alone.
        report.longrepr = str(call.excinfo.value)
    if missed:
        report.finetune_told = short_reason(item.samples, redact=item.redacted)  # type: ignore[attr-defined]
    if item.gated and missed:
        report.outcome = "skipped"
        report.wasxfail = report.finetune_told


def _give_up(session: FinetuneSession, item: EvalItem) -> None:
    """No answer will come for this case; when none can come for any, the session ends here."""
    if session.stopped:
        item.session.shouldstop = failure_words(session.stopped, redact=item.redacted)
    stopped = item.model.stopped
    pytest.skip(f"unrun: {failure_words(stopped, redact=item.redacted) if stopped else 'not requested'}")
