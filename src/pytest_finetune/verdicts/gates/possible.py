"""Gates that can never pass, told when settings are read and before any call is paid for."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.baselines import CASE_MEANS
from pytest_finetune.verdicts.metrics.measure import QUANTILES
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.stats import can_ever_pass, cases_to_ever_pass, quantile_interval

if TYPE_CHECKING:
    from pytest_finetune.verdicts.evalset.settings import GateSettings


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
    metric, confident = gate.metric, gate.confidence is not None
    unpaired = gate.max_drop is not None and metric not in CASE_MEANS
    rules = (
        (
            gate.per_case and metric != "accuracy",
            f"per_case says when a case passes, which is accuracy's business and not that of {metric}",
        ),
        (
            confident and (gate.must_pass or gate.max_flips is not None),
            "a count of cases has no confidence; use max_drop or min",
        ),
        (
            confident and metric in LONG_TAILED,
            f"{metric} has a long tail, and no interval of its mean keeps its promise; leave confidence out",
        ),
        (
            gate.max is not None and gate.max <= 0 and metric not in SHARES and metric != "macro_f1",
            f"nothing stays within {metric} <= {gate.max}; name a bar above 0",
        ),
        (
            gate.max_flips is not None and metric != "accuracy",
            f"flips are of passes and misses, not of {metric}",
        ),
        (
            unpaired and metric != "macro_f1",
            f"a drop of {metric} cannot be judged by pairs of cases; use max",
        ),
        (
            unpaired and confident,
            f"a drop of {metric} has no paired interval; leave confidence out",
        ),
    )
    return next((problem for applies, problem in rules if applies), None)


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
