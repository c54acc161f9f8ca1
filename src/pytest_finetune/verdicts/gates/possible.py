"""Gates that can never pass, reported when settings are read, before any call is paid for."""

from __future__ import annotations

from math import ceil, isinf
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.metrics.measure import QUANTILES, as_written
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.stats import can_ever_pass, cases_to_ever_pass, quantile_interval
from pytest_finetune.verdicts.stats.rate_looks import RateDesign, cases_to_pass_sequentially

if TYPE_CHECKING:
    from pytest_finetune.verdicts.rule import Rule


def impossible(rule: Rule, n: int, unit: str = "cases") -> str | None:
    """
    Why a gate cannot pass however well the model does, in one clause; None where it can.

    Args:
        rule: What the gate demands.
        n: Independent cases of its slice; a slice without cases is another fault, which is not reported here.
        unit: What `n` counts: cases, or groups of them.
    """
    if rule.confidence is None or rule.bar is None or rule.compares or not n:
        return None
    if rule.metric == "accuracy_at_coverage":
        n = ceil(as_written(rule.coverage) * n)
    if rule.metric in (*SHARES, "recall", "accuracy_at_coverage"):
        return _rate_too_few(rule, n, rule.bar, rule.confidence, unit)
    if rule.metric in QUANTILES and not rule.upward:
        high = quantile_interval(range(n), float(QUANTILES[rule.metric]), confidence=rule.confidence).high
        if isinf(high):
            return f"{n} {unit} are too few to bound {rule.metric} with confidence {rule.confidence:g}"
    return None


def _rate_too_few(rule: Rule, n: int, bar: float, confidence: float, unit: str) -> str | None:
    # A rate that has to stay within a bar is as hard to show as its complement is to reach.
    reach, sign = (bar, ">=") if rule.upward else (float(1 - as_written(bar)), "<=")
    if rule.sequential:
        if RateDesign(rule.sequential, n, reach, confidence).can_pass:
            return None
        enough = cases_to_pass_sequentially(rule.sequential, reach, confidence)
    elif can_ever_pass(n, reach, confidence):
        return None
    else:
        enough = cases_to_ever_pass(reach, confidence)
    remedy = f"at least {enough:,} are needed" if enough else "no number of cases can; leave confidence out"
    return f"{n} {unit} cannot show {rule.metric} {sign} {bar:g} with confidence {confidence:g}: {remedy}"
