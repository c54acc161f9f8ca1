"""Gates against a baseline: how far a metric may drop, and how many cases may flip from pass to miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.comparison import Difference, difference_of, find_flips
from pytest_finetune.verdicts.gates.bars import status_at
from pytest_finetune.verdicts.gates.verdict import Status
from pytest_finetune.verdicts.gates.wording import figure, interval_text, settling_text
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.stats import more_cases_needed

if TYPE_CHECKING:
    from fractions import Fraction

    from pytest_finetune.verdicts.gates.question import Question
    from pytest_finetune.verdicts.gates.verdict import Verdict

CASE_MEANS = tuple(metric for metric in SHARES if metric != "error_rate")
"""The metrics whose drop has a paired interval: means over cases of which more is better."""


def judge_against(question: Question) -> Verdict:
    """The verdict on `max_drop` or `max_flips`, over whole evidence of both runs."""
    if question.gate.max_flips is not None:
        return _judge_flips(question, question.gate.max_flips)
    max_drop = question.gate.max_drop or 0.0
    if question.gate.metric in CASE_MEANS:
        return _judge_paired_drop(question, max_drop)
    return _judge_plain_drop(question, max_drop)


def _judge_flips(question: Question, max_flips: int) -> Verdict:
    flips = find_flips(question.before, question.summary)
    lost = sum(flip.lost for flip in flips)
    return question.verdict(
        Status.PASS if lost <= max_flips else Status.FAIL,
        f"{lost} of {len(question.chosen)} cases passed in {_name(question)} and do not now"
        f" ({len(flips) - lost} the other way round), at most {max_flips}",
        value=float(lost),
        flips=flips,
    )


def _judge_paired_drop(question: Question, max_drop: float) -> Verdict:
    metric, confidence = question.gate.metric, question.gate.confidence
    difference = difference_of(question.before.shares(metric), question.summary.shares(metric))
    interval = difference.interval(confidence or 0.95)
    status = status_at(difference.drop, interval, max_drop, upward=False, confidence=confidence)
    text = _drop_text(question, difference.drop, max_drop)
    if confidence is not None:
        text += interval_text(interval, confidence, "of the drop ")
    if status is Status.INCONCLUSIVE:
        text += settling_text(_more_pairs(difference, max_drop, confidence or 0.95))
    return question.verdict(
        status,
        text,
        value=float(difference.drop),
        interval=interval,
        flips=find_flips(question.before, question.summary) if metric == "accuracy" else (),
    )


def _judge_plain_drop(question: Question, max_drop: float) -> Verdict:
    before, now = (summary.value(question.gate.metric).exact for summary in (question.before, question.summary))
    if before is None or now is None:
        return question.verdict(Status.INCOMPLETE, f"incomplete: {question.gate.metric} has no value")
    status = status_at(before - now, None, max_drop, upward=False, confidence=None)
    text = _drop_text(question, before - now, max_drop)
    return question.verdict(status, text, value=float(before - now))


def _name(question: Question) -> str:
    """What it was compared with in truth, and what the gate calls that."""
    against = str(question.gate.against)
    name = question.baseline.name if question.baseline else against
    return against if name == against else f"{name} (for {against})"


def _drop_text(question: Question, drop: Fraction, max_drop: float) -> str:
    change = "drops" if drop >= 0 else "rises"
    sign = 1 if drop >= 0 else -1
    shown = figure(sign * drop, sign * max_drop)
    return f"{question.gate.metric} {change} by {shown} against {_name(question)}, at most {max_drop:g} down"


def _more_pairs(difference: Difference, max_drop: float, confidence: float) -> int | None:
    return more_cases_needed(lambda times: difference.interval(confidence, times=times), difference.n, max_drop)
