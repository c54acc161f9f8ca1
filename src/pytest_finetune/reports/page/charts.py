"""Small drawings as inline SVG: their colours come from the page's style, their figures stand beside them as text."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Scale = tuple[float, float]

_INTERVAL = Markup(
    '<svg class="interval {kind}" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
    '<path class="track" d="M0 8H100"/>{shapes}</svg>'
)


def scale_of(values: Iterable[float | None], *, rate: bool) -> Scale:
    """
    The ends of an axis that shows all values; those of a rate are the widest of a few that a reader knows again.

    Args:
        values: What has to lie on it; None and infinite ones are left out.
        rate: They lie in [0, 1].
    """
    known = [value for value in values if value is not None and isfinite(value)]
    if rate:
        least = min(known, default=0.0)
        return next((low for low in (0.9, 0.8, 0.5) if least >= low), 0.0), 1.0
    low, high = min([0.0, *known]), max([0.0, *known])
    return low, high + (high - low) * 0.05 if high > low else low + 1.0


def interval_svg(
    value: float | None, ends: tuple[float | None, float | None], *, scale: Scale, kind: str, bar: float | None = None
) -> Markup:
    """A value with its interval and, where there is one, the bar it is held against; `kind` is a class of the style."""
    low, high = ends
    shapes = []
    if bar is not None:
        shapes.append(Markup('<path class="bar" d="M{x} 1V15"/>').format(x=_at(bar, scale)))
    if low is not None:
        # Without a highest value the interval runs to the end of the drawing and beyond.
        end = scale[1] if high is None else high
        shapes.append(Markup('<path class="range" d="M{a} 8H{b}"/>').format(a=_at(low, scale), b=_at(end, scale)))
    if value is not None:
        # A line of no length with round ends is a dot that stays round when the drawing is stretched.
        shapes.append(Markup('<path class="point" d="M{x} 8h0"/>').format(x=_at(value, scale)))
    return _INTERVAL.format(kind=kind, shapes=Markup("").join(shapes))


def histogram_svg(values: Sequence[float], *, bins: int = 48) -> Markup:
    """How often values from 0 to their largest occur, in bars of equal width."""
    top = max(values, default=0.0) or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / top * bins))] += 1
    most = max(counts) or 1
    rects = Markup("").join(
        Markup('<path d="M{x} 30V{y}"/>').format(x=number + 0.5, y=round(30 - 29 * count / most, 1))
        for number, count in enumerate(counts)
        if count
    )
    return Markup(
        '<svg class="histogram" viewBox="0 0 {bins} 30" preserveAspectRatio="none" aria-hidden="true" '
        'focusable="false">{rects}</svg>'
    ).format(bins=bins, rects=rects)


def _at(value: float, scale: Scale) -> float:
    low, high = scale
    return round(100 * (min(max(value, low), high) - low) / (high - low), 2)
