"""Several hypotheses tested together, so that the risk of rejecting any true one is limited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Step:
    """Whether a hypothesis is rejected, and what the level was divided by when it was tested for the last time."""

    rejected: bool
    divisor: int


def holm(p_values: Sequence[float], level: float) -> list[Step]:
    """
    Holm's step-down: the probability of rejecting any true hypothesis is at most the level, however they depend.

    The smallest p-value is compared with level / m for m hypotheses, the next one with level / (m - 1), and so on; the
    first that is larger ends it.

    Args:
        p_values: One per hypothesis, in [0, 1]; 1 for one that could not be tested.
        level: In (0, 1).

    Returns:
        One step per hypothesis, in their order.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    steps = [Step(rejected=False, divisor=0)] * len(p_values)
    rejecting = True
    left = len(p_values)
    for at in sorted(range(len(p_values)), key=lambda at: p_values[at]):
        rejecting = rejecting and p_values[at] <= level / left
        steps[at] = Step(rejecting, left)
        left -= rejecting
    return steps
