"""The metrics that a gate may be about, and what kinds of them there are."""

from __future__ import annotations

METRICS = (
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "recall",
    "score",
    "win_rate",
    "field_accuracy",
    "valid_rate",
    "format_stability",
    "agreement",
    "pairwise_agreement",
    "error_rate",
    "ece",
    "accuracy_at_coverage",
    "latency_p50",
    "latency_p95",
    "tokens_per_case",
    "cost_per_case",
)
"""What a gate may ask of a run; `latency_*` in seconds, `cost_per_case` in US dollars."""

RATES = METRICS[:14]
"""The metrics that lie in [0, 1]."""

MEAN_F1 = ("macro_f1", "weighted_f1")
"""Means of the labels' F1, whose drop has no paired interval."""

LONG_TAILED = ("tokens_per_case", "cost_per_case")
"""Metrics whose mean has an interval to look at, but none to decide by: see docs/verdicts.md."""

BINARY = ("accuracy", "valid_rate", "format_stability", "error_rate")
"""The metrics that count cases, which sequential gates are about."""
