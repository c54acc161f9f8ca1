"""Remedies for each finding, the most promising first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import FormatFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence, LearningPoint

_JSON = frozenset({FormatFailure.NOT_JSON, FormatFailure.FENCED, FormatFailure.WRAPPED, FormatFailure.DUPLICATE_KEY})
_SCHEMA = frozenset(
    {
        FormatFailure.MISSING_KEY,
        FormatFailure.EXTRA_KEY,
        FormatFailure.WRONG_TYPE,
        FormatFailure.NOT_IN_ENUM,
        FormatFailure.OUT_OF_RANGE,
        FormatFailure.PATTERN,
    }
)


def remedies_for(kind: str, evidence: DiagnosisEvidence) -> tuple[str, ...]:
    """The remedies for one finding, depending on the evidence."""
    return tuple({"overfitting": _overfitting, "underfitting": _underfitting}.get(kind, _format)(evidence))


def _overfitting(evidence: DiagnosisEvidence) -> Iterator[str]:
    if earlier := _better_checkpoint(evidence):
        yield f"the better checkpoint of step {earlier.step:,}; pytest-finetune train sweep JOB evaluates all"
    yield "more varied data: other wordings, lengths and senders for the same answers"
    yield "fewer epochs: one less than now (--epochs)"
    yield "a lower learning rate: half of the current --learning-rate-multiplier"
    yield "removing near duplicates; pytest-finetune data check finds them"


def _underfitting(evidence: DiagnosisEvidence) -> Iterator[str]:
    if evidence.curves.train:
        yield "more epochs: one or two more (--epochs), while the loss still falls"
        yield "a higher learning rate: twice the --learning-rate-multiplier, if the loss falls slowly"
    else:
        yield "more epochs, or a higher learning rate (--epochs, --learning-rate-multiplier)"
    yield "better data: contradicting answers cannot be learnt; pytest-finetune data check finds them"
    yield "the same system prompt and prompt format in training as in the eval set"
    yield "a larger base model, if the task is too hard for this one"


def _format(evidence: DiagnosisEvidence) -> Iterator[str]:
    kinds = evidence.failures.keys()
    if FormatFailure.TRUNCATED in kinds:
        yield "a higher max_completion_tokens in [request], so that the whole answer fits"
    if kinds & _JSON:
        yield "JSON mode, or better a response schema (response_format or response_schema in [request])"
    elif kinds & _SCHEMA:
        yield "a response schema, so that the server allows no other keys and types (response_schema in [request])"
    if kinds & {FormatFailure.REFUSAL, FormatFailure.FILTERED}:
        yield "training examples of the refused requests with the wanted answers"
    yield "training answers in exactly one format; pytest-finetune data check finds those that differ"
    yield "validating answers in your application, and repeating a request whose answer does not parse"


def _better_checkpoint(evidence: DiagnosisEvidence) -> LearningPoint | None:
    """An earlier checkpoint with a higher accuracy than the last one."""
    known = [point for point in evidence.learning if point.accuracy is not None]
    if not known:
        return None
    best = max(known, key=lambda point: point.accuracy.value if point.accuracy else 0.0)
    last = known[-1]
    better = best.accuracy and last.accuracy and best.accuracy.value > last.accuracy.value
    return best if better else None
