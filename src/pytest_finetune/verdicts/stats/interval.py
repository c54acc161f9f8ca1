"""An interval, and the deviate of the normal distribution that a confidence level stands for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """What the evidence leaves possible, both ends included; `high` may be infinite where no bound exists."""

    low: float
    high: float


@lru_cache(maxsize=64)
def normal_deviate(confidence: float) -> float:
    """The z that leaves (1 - confidence) / 2 in each tail: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence level lies in (0, 1), not at {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
