"""One gate with all it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_finetune.verdicts.gates.verdict import Verdict
from pytest_finetune.verdicts.metrics.plan import in_slice, lay_out
from pytest_finetune.verdicts.metrics.summary import Summary
from pytest_finetune.verdicts.rule import rule_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.evalset.settings import EvalSettings, GateSettings
    from pytest_finetune.verdicts.gates.verdict import Baseline, Status


@dataclass(frozen=True)
class Question:
    """A gate, the plan it rules over, what came of it, and the baseline. `judge` describes the fields."""

    gate: GateSettings
    settings: EvalSettings
    eval_set: str
    cases: tuple[Case, ...]
    repeats: int
    samples: tuple[Sample, ...]
    baseline: Baseline | None
    cases_sha256: str
    expected_label: Callable[[Case], str] | None

    @cached_property
    def chosen(self) -> tuple[Case, ...]:
        """The cases that the gate rules over."""
        names = set(self.gate.must_pass)
        return tuple(
            case
            for case in self.cases
            if in_slice(case, self.gate.where) and (not names or not names.isdisjoint(case.tags))
        )

    @cached_property
    def summary(self) -> Summary:
        """The figures of the gate's cases."""
        return self._summarize(self.samples)

    @cached_property
    def before(self) -> Summary:
        """The figures of the same cases in the baseline."""
        return self._summarize(tuple(self.baseline.samples) if self.baseline else ())

    @cached_property
    def needed(self) -> int | None:
        """The m of `per_case = "m of k"`."""
        return int(self.gate.per_case.split()[0]) if self.gate.per_case else None

    @property
    def tolerated(self) -> int:
        """
        Errors that the verdict tolerates.

        A gate on the error rate tolerates what its own bar does: there, errors are what is measured. Any other `max`
        tolerates none, because a missing answer would count for the model there: the slowest one has no latency, and
        a missed one keeps accuracy low.
        """
        if self.gate.max_errors is not None and self.gate.max is None:
            return self.gate.max_errors
        if self.gate.metric == "error_rate" and self.gate.against is None and not self.gate.must_pass:
            return self.summary.planned
        return 0 if self.gate.max is not None else self.settings.max_errors

    def verdict(self, status: Status, message: str, **figures: Any) -> Verdict:
        """A verdict on this gate."""
        figures.setdefault("n", len(self.chosen))
        baseline = self.baseline.name if self.baseline and self.gate.against is not None else ""
        return Verdict(
            self.eval_set, self.gate.label, rule_of(self.gate), status, message, baseline=baseline, **figures
        )

    def _summarize(self, samples: tuple[Sample, ...]) -> Summary:
        return Summary(lay_out(self.chosen, self.repeats, samples, self.eval_set), self.needed, self.expected_label)
