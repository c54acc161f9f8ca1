"""
Why a fine-tuned model is not better, or that nothing is wrong with it: thresholds, evidence, and never a guess.

Three questions are asked, each answered yes, no or "cannot tell": has it learnt its examples by heart (overfitting),
has it learnt too little (underfitting), does the form of its answers break (unstable format)? Healthy is what has three
times no for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.training.loss_shape import falls_still, hardly_fell, rose_again
from pytest_finetune.lifecycle.training.remedies import remedies_for

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.evidence import Evidence

GAP = 0.05
"""Accuracy on training data above that on the eval set from which on, once it is certain, overfitting is meant."""

TOLERATED_GAP = 0.10
"""A gap that is certainly smaller than this is no overfitting."""

LEARNT = 0.90
"""Accuracy on its own training data that a model is certain to miss before it counts as underfitted."""

LEARNT_ENOUGH = 0.80
"""Accuracy, on training data or unseen ones, that is certainly reached by a model that is not underfitted."""

INVALID = 0.01
"""Share of answers out of form that has to be certainly exceeded for the format to be called unstable."""

TOLERATED_INVALID = 0.05
"""A share that is certainly smaller than this is a stable format."""


class Kind(StrEnum):
    """What is looked for."""

    OVERFITTING = "overfitting"
    UNDERFITTING = "underfitting"
    UNSTABLE_FORMAT = "unstable format"


class Answer(StrEnum):
    """Whether it was found."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """One question with its answer, what the answer rests on, and what to do where it is yes."""

    kind: Kind
    answer: Answer
    evidence: tuple[str, ...]
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The three findings; healthy where every answer is no."""

    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Kind, ...]:
        """What is wrong."""
        return tuple(finding.kind for finding in self.findings if finding.answer is Answer.YES)

    @property
    def is_healthy(self) -> bool:
        """Nothing is wrong, and there is evidence for it."""
        return all(finding.answer is Answer.NO for finding in self.findings)

    @property
    def verdict(self) -> str:
        """`overfitting`, `underfitting, unstable format`, `healthy` or `cannot tell`."""
        return ", ".join(self.found) or ("healthy" if self.is_healthy else Answer.UNKNOWN.value)


def diagnose(evidence: Evidence) -> Diagnosis:
    """The answers that the evidence allows."""
    if evidence.missing:
        return Diagnosis(tuple(_incomplete(kind, evidence.missing) for kind in Kind))
    judged = {
        Kind.OVERFITTING: _overfitting(evidence),
        Kind.UNDERFITTING: _underfitting(evidence),
        Kind.UNSTABLE_FORMAT: _unstable(evidence),
    }
    return Diagnosis(
        tuple(
            Finding(kind, answer, tuple(told), remedies_for(kind, evidence) if answer is Answer.YES else ())
            for kind, (answer, told) in judged.items()
        )
    )


def _incomplete(kind: Kind, missing: int) -> Finding:
    told = f"{missing:,} planned answers never came: a verdict on the rest would be one on what happened to work"
    return Finding(kind, Answer.UNKNOWN, (told,))


def _overfitting(evidence: Evidence) -> tuple[Answer, list[str]]:
    rising = rose_again(evidence.curves)
    told = [f"on training data {evidence.training}"] if evidence.training else []
    by_gap, said = _gap(evidence)
    told.append(said)
    if rising:
        told.append(rising)
    elif evidence.curves.valid:
        told.append("the validation loss does not rise again")
    if rising and by_gap is Answer.UNKNOWN:
        return Answer.YES, told
    if rising and by_gap is Answer.NO:
        told.append("the answers do not suffer from it: an earlier checkpoint may do as well")
    return by_gap, told


def _gap(evidence: Evidence) -> tuple[Answer, str]:
    interval = evidence.gap
    if interval is None or evidence.training is None:
        return Answer.UNKNOWN, "cannot tell from accuracy: no training data were asked (--training FILE)"
    gap = evidence.training.value - evidence.accuracy.value
    shown = f"{gap:+.3f} above the eval set (95 %: {interval.low:+.3f} to {interval.high:+.3f})"
    if interval.low > 0 and gap >= GAP:
        return Answer.YES, f"{shown}: certainly more than nothing, and {GAP:g} or more"
    if interval.high <= TOLERATED_GAP:
        return Answer.NO, f"{shown}: certainly no more than {TOLERATED_GAP:g}"
    return Answer.UNKNOWN, f"{shown}: too wide to tell; a larger --sample, or more cases, would narrow it"


def _underfitting(evidence: Evidence) -> tuple[Answer, list[str]]:
    told = [f"on the eval set {evidence.accuracy}"]
    if evidence.accuracy.interval.low >= LEARNT_ENOUGH:
        return Answer.NO, [*told, f"what it never saw it gets right, certainly {LEARNT_ENOUGH:g} of it"]
    flat, falling = hardly_fell(evidence.curves), falls_still(evidence.curves)
    told += [said for said in (flat, falling) if said]
    if evidence.training is not None:
        told.insert(0, f"on training data {evidence.training}")
        if evidence.training.interval.high < LEARNT:
            return Answer.YES, [*told, f"it does not know its own examples: certainly less than {LEARNT:g}"]
        if evidence.training.interval.low >= LEARNT_ENOUGH:
            return Answer.NO, [*told, f"it knows its own examples, certainly {LEARNT_ENOUGH:g} of them"]
        return Answer.UNKNOWN, [*told, "whether it knows its own examples is open: a larger --sample would tell"]
    if flat or (falling and evidence.accuracy.interval.high < LEARNT):
        return Answer.YES, told
    return Answer.UNKNOWN, [*told, "cannot tell whether it knows its own examples: none were asked (--training FILE)"]


def _unstable(evidence: Evidence) -> tuple[Answer, list[str]]:
    rates = [(evidence.invalid, "answers out of form")]
    if evidence.unstable is not None:
        rates.append((evidence.unstable, "cases whose repeated answers differ in shape, or are out of form"))
    told = [f"{what}: {rate}" for rate, what in rates]
    if evidence.failures:
        told.append("of these: " + ", ".join(f"{kind} {count:,}" for kind, count in evidence.failures.items()))
    if any(rate.interval.low > INVALID for rate, _ in rates):
        return Answer.YES, [*told, f"certainly more than {INVALID:g}"]
    if all(rate.interval.high <= TOLERATED_INVALID for rate, _ in rates):
        return Answer.NO, [*told, f"certainly no more than {TOLERATED_INVALID:g}"]
    return Answer.UNKNOWN, [
        *told,
        f"neither certainly above {INVALID:g} nor certainly below {TOLERATED_INVALID:g}: more cases would tell",
    ]
