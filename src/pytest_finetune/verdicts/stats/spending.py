"""How a sequential gate divides the risk of a wrong verdict over its looks at the evidence."""

from __future__ import annotations

from math import e, log, sqrt
from statistics import NormalDist
from typing import Literal

Sequential = Literal["obrien-fleming", "pocock", "e-process"]
"""How a gate may be decided before all cases are requested."""

LOOKS = 5
"""Looks of a group-sequential design, the one at the last case included."""

BETTING_LOOKS = 100
"""Most looks of an e-process; it may look at any time, and more looks would save little."""


def spent(method: Sequential, tail: float, share: float) -> float:
    """
    The risk that a group-sequential design may have spent on one side when a share of the cases is there.

    Args:
        method: `obrien-fleming` spends almost all at the end, `pocock` about the same at each look.
        tail: The risk of the whole design on this side, in (0, 0.5).
        share: Share of the cases, in (0, 1].

    Raises:
        ValueError: The method spends no risk by look.

    Source: Lan and DeMets (1983), Biometrika 70, 659-663: their functions alpha_1 and alpha_2.
    """
    if method == "obrien-fleming":
        normal = NormalDist()
        return 2 * normal.cdf(normal.inv_cdf(tail / 2) / sqrt(share))
    if method == "pocock":
        return tail * log(1 + (e - 1) * share)
    raise ValueError(f"{method} spends no risk by look")


def look_sizes(method: Sequential, planned: int) -> tuple[int, ...]:
    """How many cases there are at each look, the last one at all of them; fewer looks where cases are few."""
    looks = BETTING_LOOKS if method == "e-process" else LOOKS
    return tuple(sorted({-(-planned * look // looks) for look in range(1, looks + 1)}))
