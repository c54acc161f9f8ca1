"""
Diagnosis of a fine-tuned model: overfitting, underfitting and unstable format, each yes, no or "cannot tell".

Yes and no need a confidence interval that is entirely on one side of a threshold; otherwise the answer is "cannot
tell". The two thresholds of a question differ, so that a small interval around either decides. A model is healthy if
all three answers are no.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.training.loss_shape import hardly_fell, rose_again, still_falling
from pytest_finetune.lifecycle.training.remedies import remedies_for

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence

GAP = 0.05
"""Training accuracy minus eval-set accuracy from which on, if certainly above 0, a model is overfitted."""

TOLERATED_GAP = 0.10
"""If the gap is certainly at most this, the model is not overfitted."""

LEARNT = 0.90
"""If the training accuracy is certainly below this, the model is underfitted."""

LEARNT_ENOUGH = 0.80
"""If the accuracy on training or unseen data is certainly at least this, the model is not underfitted."""

INVALID = 0.01
"""If the rate of format failures is certainly above this, the format is unstable."""

TOLERATED_INVALID = 0.05
"""If the rate of format failures is certainly at most this, the format is stable."""


class Condition(StrEnum):
    """A problem that a fine-tuned model may have."""

    OVERFITTING = "overfitting"
    UNDERFITTING = "underfitting"
    UNSTABLE_FORMAT = "unstable format"


class Conclusion(StrEnum):
    """Whether the model has the problem."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class DiagnosisFinding:
    """One problem: whether the model has it, the evidence, and remedies if it has."""

    kind: Condition
    answer: Conclusion
    evidence: tuple[str, ...]
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The three findings."""

    findings: tuple[DiagnosisFinding, ...]

    @property
    def found(self) -> tuple[Condition, ...]:
        """The problems that were found."""
        return tuple(finding.kind for finding in self.findings if finding.answer is Conclusion.YES)

    @property
    def is_healthy(self) -> bool:
        """Whether the evidence rules out every problem."""
        return all(finding.answer is Conclusion.NO for finding in self.findings)

    @property
    def verdict(self) -> str:
        """`overfitting`, `underfitting, unstable format`, `healthy` or `cannot tell`."""
        return ", ".join(self.found) or ("healthy" if self.is_healthy else Conclusion.UNKNOWN.value)


def diagnose(evidence: DiagnosisEvidence) -> Diagnosis:
    """Diagnose a model from the evidence."""
    if evidence.missing:
        return Diagnosis(tuple(_incomplete(kind, evidence.missing) for kind in Condition))
    judged = {
        Condition.OVERFITTING: _overfitting(evidence),
        Condition.UNDERFITTING: _underfitting(evidence),
        Condition.UNSTABLE_FORMAT: _unstable(evidence),
    }
    return Diagnosis(
        tuple(
            DiagnosisFinding(
                kind, answer, tuple(clauses), remedies_for(kind, evidence) if answer is Conclusion.YES else ()
            )
            for kind, (answer, clauses) in judged.items()
        )
    )


def _incomplete(kind: Condition, missing: int) -> DiagnosisFinding:
    reason = f"{missing:,} planned answers are missing, and the others may not be representative"
    return DiagnosisFinding(kind, Conclusion.UNKNOWN, (reason,))


def _overfitting(evidence: DiagnosisEvidence) -> tuple[Conclusion, list[str]]:
    rising = rose_again(evidence.curves)
    clauses = [f"on training data {evidence.training}"] if evidence.training else []
    by_gap, clause = _gap(evidence)
    clauses.append(clause)
    if rising:
        clauses.append(rising)
    elif evidence.curves.valid:
        clauses.append("the validation loss does not rise again")
    if rising and by_gap is Conclusion.UNKNOWN:
        return Conclusion.YES, clauses
    if rising and by_gap is Conclusion.NO:
        clauses.append("the accuracy is not affected; an earlier checkpoint may be as good")
    return by_gap, clauses


def _gap(evidence: DiagnosisEvidence) -> tuple[Conclusion, str]:
    interval = evidence.gap
    if interval is None or evidence.training is None:
        return Conclusion.UNKNOWN, "cannot tell from accuracy: no answers to training data (pass --training FILE)"
    gap = evidence.training.value - evidence.accuracy.value
    shown = f"{gap:+.3f} above the eval set (95 %: {interval.low:+.3f} to {interval.high:+.3f})"
    if interval.low > 0 and gap >= GAP:
        return Conclusion.YES, f"{shown}: certainly above 0, and at least {GAP:g}"
    if interval.high <= TOLERATED_GAP:
        return Conclusion.NO, f"{shown}: certainly at most {TOLERATED_GAP:g}"
    return Conclusion.UNKNOWN, f"{shown}: the interval is too wide to tell; use a larger --sample or more cases"


def _underfitting(evidence: DiagnosisEvidence) -> tuple[Conclusion, list[str]]:
    clauses = [f"on the eval set {evidence.accuracy}"]
    if evidence.accuracy.interval.low >= LEARNT_ENOUGH:
        return Conclusion.NO, [*clauses, f"certainly at least {LEARNT_ENOUGH:g} on unseen data"]
    flat, falling = hardly_fell(evidence.curves), still_falling(evidence.curves)
    clauses += [clause for clause in (flat, falling) if clause]
    if evidence.training is not None:
        clauses.insert(0, f"on training data {evidence.training}")
        if evidence.training.interval.high < LEARNT:
            return Conclusion.YES, [*clauses, f"certainly below {LEARNT:g} on its own training data"]
        if evidence.training.interval.low >= LEARNT_ENOUGH:
            return Conclusion.NO, [*clauses, f"certainly at least {LEARNT_ENOUGH:g} on its own training data"]
        return Conclusion.UNKNOWN, [
            *clauses,
            "training data: too wide an interval to tell; use a larger --sample",
        ]
    if flat or (falling and evidence.accuracy.interval.high < LEARNT):
        return Conclusion.YES, clauses
    return Conclusion.UNKNOWN, [
        *clauses,
        "cannot tell: no answers to training data (pass --training FILE)",
    ]


def _unstable(evidence: DiagnosisEvidence) -> tuple[Conclusion, list[str]]:
    rates = [(evidence.invalid, "answers with a format failure")]
    if evidence.unstable is not None:
        rates.append((evidence.unstable, "cases whose repeated answers differ in shape or have a format failure"))
    clauses = [f"{what}: {rate}" for rate, what in rates]
    if evidence.failures:
        clauses.append("of these: " + ", ".join(f"{kind} {count:,}" for kind, count in evidence.failures.items()))
    if any(rate.interval.low > INVALID for rate, _ in rates):
        return Conclusion.YES, [*clauses, f"certainly above {INVALID:g}"]
    if all(rate.interval.high <= TOLERATED_INVALID for rate, _ in rates):
        return Conclusion.NO, [*clauses, f"certainly at most {TOLERATED_INVALID:g}"]
    return Conclusion.UNKNOWN, [
        *clauses,
        f"neither certainly above {INVALID:g} nor certainly at most {TOLERATED_INVALID:g}; use more cases",
    ]
