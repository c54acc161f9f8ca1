"""Gates that can never pass, told when settings are read and before any call is paid for."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from pytest_finetune.gates.baselines import CASE_MEANS
from pytest_finetune.metrics.measure import QUANTILES
from pytest_finetune.metrics.shares import SHARES
from pytest_finetune.stats import can_ever_pass, cases_to_ever_pass, quantile_interval

if TYPE_CHECKING:
    from pytest_finetune.evalset.settings import GateSettings


LONG_TAILED = ("tokens_per_case", "cost_per_case")
"""Metrics whose mean has an interval to look at, but none to decide by: see docs/verdicts.md."""


def impossible(gate: GateSettings, n: int) -> str | None:
    """
    Why a gate cannot pass however well the model does, in one clause; None where it can.

    Args:
        gate: The gate as written.
        n: Cases of its slice. None at all is another fault, and not this function's to tell.
    """
    return misfit(gate) or (_too_few(gate, n) if gate.confidence is not None and n else None)


def misfit(gate: GateSettings) -> str | None:
    """Why a gate asks for what cannot be worked out together, in one clause; None where it does not."""
    if gate.per_case and gate.metric != "accuracy":
        return f"per_case says when a case passes, which is accuracy's business and not that of {gate.metric}"
    if gate.confidence is not None and (gate.must_pass or gate.max_flips is not None):
        return "a count of cases has no confidence; use max_drop or min"
    if gate.confidence is not None and gate.metric in LONG_TAILED:
        return f"{gate.metric} has a long tail, and no interval of its mean keeps its promise; leave confidence out"
    if gate.max_flips is not None and gate.metric != "accuracy":
        return f"flips are of passes and misses, not of {gate.metric}"
    if gate.max_drop is None or gate.metric in CASE_MEANS:
        return None
    if gate.metric != "macro_f1":
        return f"a drop of {gate.metric} cannot be judged by pairs of cases; use max"
    return "a drop of macro_f1 has no paired interval; leave confidence out" if gate.confidence is not None else None


def _too_few(gate: GateSettings, n: int) -> str | None:
    confidence, bar = gate.confidence or 0.95, gate.min if gate.min is not None else gate.max
    if bar is None:
        return None
    if gate.metric in SHARES:
        return _rate_too_few(gate, n, bar, confidence)
    if gate.metric in QUANTILES and gate.max is not None:
        high = quantile_interval([0.0] * n, float(QUANTILES[gate.metric]), confidence=confidence).high
        return f"{n} cases are too few to bound {gate.metric} with confidence {confidence:g}" if isinf(high) else None
    return None


def _rate_too_few(gate: GateSettings, n: int, bar: float, confidence: float) -> str | None:
    # A rate that has to stay within a bar is as hard to show as its complement is to reach.
    reach, sign = (bar, ">=") if gate.min is not None else (1 - bar, "<=")
    if can_ever_pass(n, reach, confidence):
        return None
    enough = cases_to_ever_pass(reach, confidence)
    remedy = f"at least {enough:,} are needed" if enough else "no number of cases can; leave confidence out"
    return f"{n} cases cannot show {gate.metric} {sign} {bar:g} with confidence {confidence:g}: {remedy}"
