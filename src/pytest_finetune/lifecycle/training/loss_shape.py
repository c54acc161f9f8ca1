"""Signs of over- and underfitting in loss curves, each as a clause; empty if there is none or the curve is short."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.training.curves import Curves

RISE = 1.10
"""Factor over its minimum from which on the validation loss counts as risen again."""

FALL = 0.90
"""The training loss is still falling if its mean in the last quarter is below this share of that in the third."""

LEARNT_AWAY = 0.05
"""Share of the first loss below which a loss counts as learnt, even if it is still falling."""

FLAT = 0.80
"""The loss has hardly fallen if the last quarter's mean is above this share of the first quarter's."""

_LEAST_VALID, _LEAST_TRAIN = 3, 8
"""Measured points needed to judge a curve."""


def rose_again(curves: Curves) -> str:
    """The validation loss fell and rose again while the training loss kept falling."""
    valid = curves.valid
    if len(valid) < _LEAST_VALID:
        return ""
    step, least = min(valid, key=lambda point: (point[1], point[0]))
    later = [loss for at, loss in valid if at > step]
    last = fmean(later[-2:]) if later else least
    before, after = _around(curves, step)
    if len(later) < 2 or last < RISE * least or before is None or after is None or after > before:  # noqa: PLR2004
        return ""
    return f"the validation loss rose from {least:.4g} at step {step:,} to {last:.4g} while the training loss fell"


def still_falling(curves: Curves) -> str:
    """The training loss was still falling at the end of the training."""
    losses = [loss for _, loss in curves.train]
    if len(losses) < _LEAST_TRAIN:
        return ""
    third, fourth = _quarters(losses)[2:]
    if fourth > FALL * third or fourth < LEARNT_AWAY * losses[0]:
        return ""
    return f"the training loss was still falling at the end: {third:.4g} in the third quarter, {fourth:.4g} in the last"


def hardly_fell(curves: Curves) -> str:
    """The training loss is about the same at the end as at the beginning."""
    losses = [loss for _, loss in curves.train]
    if len(losses) < _LEAST_TRAIN:
        return ""
    first, *_, last = _quarters(losses)
    return (
        f"the training loss hardly fell: {first:.4g} in the first quarter, {last:.4g} in the last"
        if last > FLAT * first
        else ""
    )


def _quarters(losses: Sequence[float]) -> list[float]:
    size = len(losses)
    return [fmean(losses[size * part // 4 : size * (part + 1) // 4]) for part in range(4)]


def _around(curves: Curves, step: int) -> tuple[float | None, float | None]:
    """The mean training loss before and after a step, over the same number of points where there are enough."""
    before = [loss for at, loss in curves.train if at <= step]
    after = [loss for at, loss in curves.train if at > step]
    if not before or not after:
        return None, None
    return fmean(before[-len(after) :]), fmean(after)
