"""Gates against a baseline: how far a metric may drop, and how many cases may flip from pass to miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.comparison import MetricDrop, difference_of, find_flips
from pytest_finetune.verdicts.gates.bars import limit_of, status_of
from pytest_finetune.verdicts.gates.verdict import Status
from pytest_finetune.verdicts.gates.wording import (
    figure,
    groups_text,
    interval_text,
    settling_text,
    value_alone_text,
    worse_text,
)
from pytest_finetune.verdicts.metrics.shares import CASE_MEANS
from pytest_finetune.verdicts.stats import more_cases_needed

if TYPE_CHECKING:
    from fractions import Fraction

    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Verdict
    from pytest_finetune.verdicts.stats import Interval


def judge_flips(inputs: GateInputs) -> Verdict:
    """The verdict on `max_flips`, given complete evidence of both runs."""
    max_flips = int(limit_of(inputs.rule))
    flips = find_flips(inputs.before, inputs.summary)
    lost = sum(flip.lost for flip in flips)
    return inputs.verdict(
        Status.PASS if lost <= max_flips else Status.FAIL,
        f"{lost} of {len(inputs.sliced.rows)} cases passed in {_name(inputs)} and miss now"
        f" ({len(flips) - lost} the other way round), max_flips {max_flips}",
        value=float(lost),
        flips=flips,
    )


def judge_drop(inputs: GateInputs) -> Verdict:
    """The verdict on `max_drop`, given complete evidence of both runs."""
    return _judge_paired_drop(inputs) if inputs.rule.metric in CASE_MEANS else _judge_plain_drop(inputs)


def drop_of(inputs: GateInputs) -> MetricDrop:
    """The paired drop of the gate's metric, given complete evidence of both runs."""
    metric, level = inputs.rule.metric, inputs.rule.confidence or 0.95
    before, now = inputs.before.shares(metric), inputs.summary.shares(metric)
    return difference_of(before, now, inputs.summary.groups, confidence=level)


def _judge_paired_drop(inputs: GateInputs) -> Verdict:
    rule, max_drop = inputs.rule, limit_of(inputs.rule)
    confidence = rule.confidence or 0.95
    difference = drop_of(inputs)
    interval = difference.interval(confidence)
    status = status_of(rule, difference.drop, interval)
    text = drop_text(inputs, difference.drop, max_drop) + value_alone_text(rule, status, interval)
    if rule.confidence is not None:
        text += interval_text(interval, confidence, "of the drop ") + groups_text(inputs.summary, difference.worth)
        text += f" (Tango's score interval: {worse_text(interval, difference)})"
    if status is Status.INCONCLUSIVE:
        text += settling_text(more_pairs(difference, max_drop, confidence))
    flips = find_flips(inputs.before, inputs.summary) if rule.metric == "accuracy" else ()
    return inputs.verdict(status, text, value=float(difference.drop), interval=interval, flips=flips)


def _judge_plain_drop(inputs: GateInputs) -> Verdict:
    rule = inputs.rule
    before, now = (summary.value(rule.metric).exact for summary in (inputs.before, inputs.summary))
    if before is None or now is None:
        return inputs.verdict(Status.INCOMPLETE, f"incomplete: {rule.metric} has no value")
    drop = before - now
    status = status_of(rule, drop, None)
    text = drop_text(inputs, drop, limit_of(rule)) + value_alone_text(rule, status, None)
    return inputs.verdict(status, text, value=float(drop))


def _name(inputs: GateInputs) -> str:
    """The baseline's own name, and what the gate calls it where that differs."""
    against = inputs.rule.against
    name = inputs.baseline.name if inputs.baseline else against
    return against if name == against else f"{name} (for {against})"


def drop_text(inputs: GateInputs, drop: Fraction, max_drop: float) -> str:
    """`accuracy dropped by 0.020 against v1, max_drop 0.05`."""
    change, sign = ("dropped", 1) if drop >= 0 else ("rose", -1)
    shown = figure(sign * drop, sign * max_drop)
    name = f"{inputs.rule.metric} of {inputs.rule.field}" if inputs.rule.field else inputs.rule.metric
    return f"{name} {change} by {shown} against {_name(inputs)}, max_drop {max_drop:g}"


def more_pairs(difference: MetricDrop, max_drop: float, confidence: float) -> int | None:
    """About how many more cases would settle a gate on a drop; None if no practical number would."""

    def interval(times: float) -> Interval:
        return difference.interval(confidence, times=times)

    return more_cases_needed(interval, difference.n, max_drop, confidence=confidence)
