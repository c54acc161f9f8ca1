"""Gates with a bar: a metric that has to reach it or stay within it, and cases that must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.verdict import Status
from pytest_finetune.verdicts.gates.wording import figure, groups_text, interval_text, settling_text, value_alone_text
from pytest_finetune.verdicts.metrics.measure import QUANTILES, as_written
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.stats import Interval, more_cases_for_rate, more_cases_needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Verdict
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.metrics.measure import Measure
    from pytest_finetune.verdicts.rule import Rule


def judge_bar(inputs: GateInputs) -> Verdict:
    """
    The verdict on `min` or `max`, given complete evidence.

    With a confidence the whole interval has to clear the bar; without one the exact value decides, so that 19 of 20
    meets 0.95.
    """
    rule = inputs.rule
    measure = inputs.measure(rule.confidence or 0.95)
    value = measure.exact
    if value is None:
        return inputs.verdict(Status.INCOMPLETE, f"incomplete: no answer gives a value of {rule.metric}")
    status = status_of(rule, value, measure.interval)
    return inputs.verdict(
        status,
        _message(inputs, measure, value, status),
        value=measure.value,
        interval=measure.interval,
        n=measure.n,
    )


def status_of(rule: Rule, value: Fraction, interval: Interval | None) -> Status:
    """
    How a value compares with the bar of a rule that has one.

    With a confidence: the whole interval on the right side is `pass`, the whole of it beyond is `fail`, and anything
    else, no interval included, is `inconclusive`. Without one the value decides.
    """
    bar = limit_of(rule)
    if rule.confidence is None:
        exact = as_written(bar)
        return Status.PASS if (value >= exact if rule.upward else value <= exact) else Status.FAIL
    if interval is None:
        return Status.INCONCLUSIVE
    if rule.upward:
        cleared, missed = interval.low >= bar, interval.high < bar
    else:
        cleared, missed = interval.high <= bar, interval.low > bar
    return Status.PASS if cleared else Status.FAIL if missed else Status.INCONCLUSIVE


def limit_of(rule: Rule) -> float:
    """
    The bar of a rule that has one.

    Raises:
        ValueError: It is a `must_pass`.
    """
    if rule.bar is None:
        raise ValueError(f"{rule.label} has no bar")
    return rule.bar


def judge_must_pass(inputs: GateInputs) -> Verdict:
    """The verdict on `must_pass`: every case with one of the tags has to pass; errors count as not passed."""
    rows = inputs.summary.rows
    missed = tuple(row.case.id for row in rows if not row.passes(inputs.rule.needed))
    passed = len(rows) - len(missed)
    named = ", ".join(missed[:5]) + (" …" if len(missed) > 5 else "")  # noqa: PLR2004
    return inputs.verdict(
        Status.FAIL if missed else Status.PASS,
        f"{passed} of {len(rows)} cases passed{f'; {len(missed)} missed: {named}' if missed else ''}",
        value=passed / len(rows),
        missed=missed,
    )


def _message(inputs: GateInputs, measure: Measure, value: Fraction, status: Status) -> str:
    rule, bar = inputs.rule, limit_of(inputs.rule)
    name = f"{rule.metric} of {rule.field}" if rule.field else rule.metric
    name += f" {rule.coverage:g}" if rule.metric == "accuracy_at_coverage" else ""
    name += _of_label(inputs.summary) if rule.of_label else ""
    text = f"{name} {figure(value, bar)}{_correction(inputs) or _count(rule, value, measure.n)}"
    limit = f", bar {'>=' if rule.upward else '<='} {bar:g}"
    if rule.confidence is None:
        return text + limit + value_alone_text(rule, status, measure.interval)
    text += interval_text(measure.interval, rule.confidence) + _groups(inputs, rule.confidence) + limit
    if status is Status.INCONCLUSIVE:
        more = _more_cases(inputs, measure, value, rule.confidence)
        text += settling_text(more, of=inputs.summary.recalled if rule.of_label else "")
    return text


def _of_label(summary: Summary) -> str:
    """` of refund`, and of how many labels it is the lowest."""
    lowest = f", the lowest of {len(summary.by_label):,} labels," if summary.label != summary.recalled else ""
    return f" of {summary.recalled}{lowest}"


def _groups(inputs: GateInputs, confidence: float) -> str:
    if inputs.rule.of_label:
        part = inputs.summary.by_label[inputs.summary.recalled]
        return groups_text(part, part.worth(confidence=confidence))
    if inputs.rule.metric in QUANTILES:
        return groups_text(inputs.summary, len(set(inputs.summary.groups or ())))
    metric = inputs.rule.metric if inputs.rule.metric in SHARES else "accuracy"
    return groups_text(inputs.summary, inputs.summary.worth(metric, confidence=confidence))


def _correction(inputs: GateInputs) -> str:
    """What a corrected value rests on; empty for a value that no judge's errors were corrected in."""
    if inputs.calibration is None:
        return ""
    raw = inputs.summary.value(inputs.rule.metric).value or 0.0
    return f" (corrected: the judge passes {raw:.3f} of {len(inputs.sliced.rows)} cases, {inputs.calibration})"


def _count(rule: Rule, value: Fraction, n: int) -> str:
    """What the value rests on: ` (19 of 20 cases)`, ` (118 answers)`."""
    if rule.metric == "accuracy_at_coverage":
        return f" ({n} most confident cases)"
    if rule.metric not in (*SHARES, "recall"):
        return f" ({n} {'answers' if rule.metric in (*QUANTILES, 'ece') else 'cases'})"
    right = value * n
    return f" ({right} of {n} cases)" if right.denominator == 1 else f" ({n} cases)"


def _more_cases(inputs: GateInputs, measure: Measure, value: Fraction, confidence: float) -> int | None:
    bar, n, metric = limit_of(inputs.rule), measure.n, inputs.rule.metric
    if inputs.rule.of_label:
        size = inputs.summary.by_label[inputs.summary.recalled].size_of_groups(confidence=confidence)
        return more_cases_for_rate(float(value), n, bar, confidence=confidence, effect=size)
    if inputs.calibration is None and metric in (*SHARES, "accuracy_at_coverage"):
        size = inputs.summary.size_of_groups(metric, confidence=confidence)
        return more_cases_for_rate(float(value), n, bar, confidence=confidence, effect=size)
    return more_cases_needed(_interval_of(inputs, measure, value, confidence), n, bar, confidence=confidence)


def _interval_of(
    inputs: GateInputs, measure: Measure, value: Fraction, confidence: float
) -> Callable[[float], Interval | None]:
    """How the interval would be with so many times the evidence."""
    metric, labels = inputs.rule.metric, inputs.summary.labels
    if inputs.calibration is not None:
        return lambda times: inputs.measure(confidence, times=times).interval
    if metric in ("macro_f1", "weighted_f1") and labels:
        share = inputs.summary.worth(confidence=confidence) / measure.n
        return lambda times: labels.f1_interval(confidence, times=times * share, weighted=metric == "weighted_f1")
    return lambda times: _narrowed(float(value), measure.interval, times)


def _narrowed(value: float, interval: Interval | None, times: float) -> Interval | None:
    """An interval whose length falls with the root of the evidence, as that of a mean or a percentile does."""
    if interval is None:
        return None
    shrink = times**-0.5
    return Interval(value - (value - interval.low) * shrink, value + (interval.high - value) * shrink)
