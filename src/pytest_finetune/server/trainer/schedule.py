"""The learning rate over a training: a short rise, so that the first steps break nothing, and an even fall."""

from __future__ import annotations

_WARM_UP = 0.05
"""Share of the steps over which the rate rises."""


def schedule(step: int, steps: int) -> float:
    """
    Share of the highest learning rate for a step.

    Args:
        step: Steps done before it, 0 <= step < steps.
        steps: All of them.

    Returns:
        In (0, 1]: rising over the first twentieth, then falling evenly towards nothing.
    """
    rising = max(1, round(steps * _WARM_UP))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising)
