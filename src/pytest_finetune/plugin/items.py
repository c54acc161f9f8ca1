"""Eval sets as pytest nodes: a file collects its cases; a case waits for its samples, and passes or fails by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.records import State
from pytest_finetune.plugin.session import SESSION, skip_case, skip_unrun
from pytest_finetune.reports.failure import failure_text, short_reason
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from _pytest._code.code import TerminalRepr, TracebackStyle

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest, ModelUnderTest
    from pytest_finetune.verdicts.evalset import EvalSet


class CaseNotPassedError(Exception):
    """A case was missed, or its request failed; the text is the whole failure text."""


class EvalSetFile(pytest.File):
    """One eval set; its cases in file order, or in that of a sequential gate, each for every model."""

    def collect(self) -> Iterator[EvalItem]:
        """Create the items; the eval set is loaded already."""
        session = self.config.stash[SESSION]
        eval_set = session.inputs.eval_sets[self.path]
        for case in eval_set.in_asking_order:
            for model in session.models.all:
                name = f"{case.id}[{model.spec}]" if session.models.several else case.id
                yield EvalItem.from_parent(self, name=name, model=model, eval_set=eval_set, case=case)


class EvalItem(pytest.Item):
    """One case for one model."""

    def __init__(self, *, name: str, parent: EvalSetFile, model: ModelUnderTest, eval_set: EvalSet, case: Case) -> None:
        super().__init__(name, parent)
        self.model, self.eval_set, self.case = model, eval_set, case
        self.samples: list[Sample] = []
        self.extra_keyword_matches.update(case.tags)

    @property
    def gated(self) -> bool:
        """Whether a miss does not fail the test: the set's gates decide, or the model is only the baseline."""
        return bool(self.eval_set.settings.gates) or not self.model.judged

    @property
    def state(self) -> State:
        """The worst state among the samples."""
        if len(self.samples) == 1:
            return self.samples[0].state
        states = {sample.state for sample in self.samples}
        return next(s for s in (State.UNRUN, State.ERROR, State.MISSED, State.UNNEEDED, State.PASSED) if s in states)

    @property
    def redacted(self) -> bool:
        """Whether reports omit prompts and answers."""
        return bool(self.config.option.pytest_finetune_redact)

    def await_samples(self, models: ModelsUnderTest) -> None:
        """Wait for the samples, once; end the session if no model gets any more answers."""
        if not self.samples:
            self.samples = models.samples_of(self.model, self.eval_set, self.case)
        if self.state is State.UNRUN and models.stopped:
            self.session.shouldstop = failure_words(models.stopped, redact=self.redacted)

    def setup(self) -> None:
        """Wait for the samples; without gates, a failed request is an error in setup."""
        models = self.config.stash[SESSION].models
        self.await_samples(models)
        if self.state is State.UNRUN:
            skip_unrun(self, self.model.stopped)
        if self.state is State.UNNEEDED:
            sequential = self.eval_set.is_sequential
            why = "the gates are decided" if sequential else "no answer could change a verdict any more"
            skip_case(self, f"unneeded: {why}")
        if self.state is State.ERROR and not self.gated:
            raise CaseNotPassedError(self._text())

    def _initrequest(self) -> None:
        """Do nothing: pytest-retry calls this before each retry to reset fixtures, and a case has none."""

    def runtest(self) -> None:
        """Pass, or raise the failure text."""
        if self.state is not State.PASSED:
            raise CaseNotPassedError(self._text())

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: TracebackStyle | None = None,
    ) -> str | TerminalRepr:
        """The failure text, without a traceback through this plugin."""
        if isinstance(excinfo.value, CaseNotPassedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """The case's line in the eval set; pytest counts from 0."""
        return self.path, self.case.line - 1, self.name

    def _text(self) -> str:
        return failure_text(self.eval_set, self.case, self.samples, redact=self.redacted)


def annotate(item: EvalItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """
    Add the case to its last report, as plain values, which survive plugins that run tests in forks.

    In a set with gates, a case that did not pass becomes an xfail, so that neither the exit code nor other reports
    count it as a failure: the gates decide. The terminal shows it as missed or errored. Any other failure, such as a
    failing hook, stays a failure.
    """
    ends = report.when == "call" or (report.when == "setup" and not report.passed)
    if not ends or not item.samples:
        return
    report.finetune_key = [item.model.spec, item.eval_set.name, item.case.id]  # type: ignore[attr-defined]
    report.finetune_state = item.state.value  # type: ignore[attr-defined]
    missed = call.excinfo is not None and isinstance(call.excinfo.value, CaseNotPassedError)
    if missed and report.when == "setup" and call.excinfo is not None:
        # pytest calls repr_failure for the call phase only; elsewhere it would show a traceback through this plugin.
        report.longrepr = str(call.excinfo.value)
    if missed:
        report.finetune_reason = short_reason(item.samples, redact=item.redacted)  # type: ignore[attr-defined]
    if item.gated and missed:
        report.outcome = "skipped"
        report.wasxfail = report.finetune_reason
