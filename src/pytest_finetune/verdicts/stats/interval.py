"""Confidence intervals, and the normal quantile of a confidence level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """The values consistent with the evidence, both ends included; `high` is infinite if there is no upper bound."""

    low: float
    high: float


@lru_cache(maxsize=64)
def normal_deviate(confidence: float) -> float:
    """
    The z that leaves (1 - confidence) / 2 in each tail: 1.96 for 0.95.

    Source: Wichura (1988), Applied Statistics 37, 477-484, as in Python's `statistics`.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence level must be between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
