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

    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Verdict

CASE_MEANS = tuple(metric for metric in SHARES if metric != "error_rate")
"""The metrics whose drop has a paired interval: means over cases of which more is better."""


def judge_against(inputs: GateInputs) -> Verdict:
    """The verdict on `max_drop` or `max_flips`, over whole evidence of both runs."""
    if inputs.gate.max_flips is not None:
        return _judge_flips(inputs, inputs.gate.max_flips)
    max_drop = inputs.gate.max_drop or 0.0
    if inputs.gate.metric in CASE_MEANS:
        return _judge_paired_drop(inputs, max_drop)
    return _judge_plain_drop(inputs, max_drop)


def _judge_flips(inputs: GateInputs, max_flips: int) -> Verdict:
    flips = find_flips(inputs.before, inputs.summary)
    lost = sum(flip.lost for flip in flips)
    return inputs.verdict(
        Status.PASS if lost <= max_flips else Status.FAIL,
        f"{lost} of {len(inputs.sliced.rows)} cases passed in {_name(inputs)} and do not now"
        f" ({len(flips) - lost} the other way round), at most {max_flips}",
        value=float(lost),
        flips=flips,
    )


def _judge_paired_drop(inputs: GateInputs, max_drop: float) -> Verdict:
    metric, confidence = inputs.gate.metric, inputs.gate.confidence
    difference = difference_of(inputs.before.shares(metric), inputs.summary.shares(metric))
    interval = difference.interval(confidence or 0.95)
    status = status_at(difference.drop, interval, max_drop, upward=False, confidence=confidence)
    text = _drop_text(inputs, difference.drop, max_drop)
    if confidence is not None:
        text += interval_text(interval, confidence, "of the drop ")
    if status is Status.INCONCLUSIVE:
        text += settling_text(_more_pairs(difference, max_drop, confidence or 0.95))
    return inputs.verdict(
        status,
        text,
        value=float(difference.drop),
        interval=interval,
        flips=find_flips(inputs.before, inputs.summary) if metric == "accuracy" else (),
    )


def _judge_plain_drop(inputs: GateInputs, max_drop: float) -> Verdict:
    before, now = (summary.value(inputs.gate.metric).exact for summary in (inputs.before, inputs.summary))
    if before is None or now is None:
        return inputs.verdict(Status.INCOMPLETE, f"incomplete: {inputs.gate.metric} has no value")
    status = status_at(before - now, None, max_drop, upward=False, confidence=None)
    text = _drop_text(inputs, before - now, max_drop)
    return inputs.verdict(status, text, value=float(before - now))


def _name(inputs: GateInputs) -> str:
    """What it was compared with in truth, and what the gate calls that."""
    against = str(inputs.gate.against)
    name = inputs.baseline.name if inputs.baseline else against
    return against if name == against else f"{name} (for {against})"


def _drop_text(inputs: GateInputs, drop: Fraction, max_drop: float) -> str:
    change = "drops" if drop >= 0 else "rises"
    sign = 1 if drop >= 0 else -1
    shown = figure(sign * drop, sign * max_drop)
    return f"{inputs.gate.metric} {change} by {shown} against {_name(inputs)}, at most {max_drop:g} down"


def _more_pairs(difference: Difference, max_drop: float, confidence: float) -> int | None:
    return more_cases_needed(lambda times: difference.interval(confidence, times=times), difference.n, max_drop)
