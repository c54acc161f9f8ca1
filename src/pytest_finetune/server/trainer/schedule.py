"""The learning-rate schedule: a short linear warm-up, then a linear decay."""

from __future__ import annotations

_WARM_UP = 0.05
"""Share of the steps over which the rate rises."""


def schedule(step: int, steps: int) -> float:
    """
    The learning rate of a step, as a share of the highest rate.

    Args:
        step: Number of earlier steps, 0 <= step < steps.
        steps: Total number of steps.

    Returns:
        A value in (0, 1]: it rises over the first twentieth of the steps, then falls linearly towards 0.
    """
    rising = max(1, round(steps * _WARM_UP))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising)
