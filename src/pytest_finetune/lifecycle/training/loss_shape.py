"""What the shape of loss curves tells, in a clause each; nothing where they are too short, or tell nothing."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.training.curves import Curves

RISE = 1.10
"""How many times its least the validation loss has come to, to have risen again."""

FALL = 0.90
"""Share of the loss before that the last quarter has to stay under, to be falling still."""

LEARNT_AWAY = 0.05
"""Share of the first loss below which a loss may fall as it likes: there is nothing more to learn."""

FLAT = 0.80
"""Share of its beginning above which a loss has hardly fallen."""

_LEAST_VALID, _LEAST_TRAIN = 3, 8


def rose_again(curves: Curves) -> str:
    """The validation loss fell, and rose again while the training loss went on falling."""
    valid = curves.valid
    if len(valid) < _LEAST_VALID:
        return ""
    step, least = min(valid, key=lambda point: (point[1], point[0]))
    later = [loss for at, loss in valid if at > step]
    last = fmean(later[-2:]) if later else least
    before, after = _around(curves, step)
    if len(later) < 2 or last < RISE * least or before is None or after is None or after > before:  # noqa: PLR2004
        return ""
    return f"the validation loss rose from {least:.4g} at step {step:,} to {last:.4g} while the training loss fell on"


def falls_still(curves: Curves) -> str:
    """The training loss was still falling when the training ended."""
    losses = [loss for _, loss in curves.train]
    if len(losses) < _LEAST_TRAIN:
        return ""
    third, fourth = _quarters(losses)[2:]
    if fourth > FALL * third or fourth < LEARNT_AWAY * losses[0]:
        return ""
    return f"the training loss was still falling at the end: {third:.4g} in the third quarter, {fourth:.4g} in the last"


def hardly_fell(curves: Curves) -> str:
    """The training loss is at the end about what it was at the beginning."""
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
    """The mean training loss up to a step, over as many points as there are after it, and after it."""
    before = [loss for at, loss in curves.train if at <= step]
    after = [loss for at, loss in curves.train if at > step]
    if not before or not after:
        return None, None
    return fmean(before[-len(after) :]), fmean(after)
