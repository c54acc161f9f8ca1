"""What to do about each finding, the likeliest to help first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import FormatFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.lifecycle.training.evidence import Evidence, LearningPoint

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


def remedies_for(kind: str, evidence: Evidence) -> tuple[str, ...]:
    """The remedies of one finding, fitted to the evidence."""
    return tuple({"overfitting": _overfitting, "underfitting": _underfitting}.get(kind, _format)(evidence))


def _overfitting(evidence: Evidence) -> Iterator[str]:
    if earlier := _better_checkpoint(evidence):
        yield f"an earlier checkpoint was better, step {earlier.step:,}: pytest-finetune train sweep JOB judges all"
    yield "more varied data: other wordings, lengths and senders for the same answers, not more of the same"
    yield "fewer epochs: --epochs one less than now"
    yield "a lower rate: --learning-rate-multiplier at half of what it was"
    yield "no near duplicates: pytest-finetune data check finds them"


def _underfitting(evidence: Evidence) -> Iterator[str]:
    if evidence.curves.train:
        yield "more epochs: --epochs one or two more, while the loss still falls"
        yield "a higher rate: --learning-rate-multiplier twice as high, where it falls slowly"
    else:
        yield "more epochs, or a higher rate (--epochs, --learning-rate-multiplier)"
    yield "data quality: one question with two answers cannot be learnt; pytest-finetune data check finds them"
    yield "the same system prompt and the same form of question in training as in the eval set"
    yield "a larger base model, where the task is too hard for this one"


def _format(evidence: Evidence) -> Iterator[str]:
    kinds = evidence.failures.keys()
    if FormatFailure.TRUNCATED in kinds:
        yield "room for the whole answer: a higher max_completion_tokens in [request]"
    if kinds & _JSON:
        yield "JSON mode, or better a response schema: response_format or response_schema in [request]"
    elif kinds & _SCHEMA:
        yield "a response schema, so that the server allows no other keys and types: response_schema in [request]"
    if kinds & {FormatFailure.REFUSAL, FormatFailure.FILTERED}:
        yield "examples of what was refused, answered as wanted; a model learns what it may answer, too"
    yield "format examples: training answers in exactly one form; pytest-finetune data check names those that differ"
    yield "validation after the answer: parse it, and ask once more where it does not parse"


def _better_checkpoint(evidence: Evidence) -> LearningPoint | None:
    """An earlier checkpoint that answered more cases rightly than the last one."""
    known = [point for point in evidence.learning if point.accuracy is not None]
    if not known:
        return None
    best = max(known, key=lambda point: point.accuracy.value if point.accuracy else 0.0)
    last = known[-1]
    better = best.accuracy and last.accuracy and best.accuracy.value > last.accuracy.value
    return best if better else None
