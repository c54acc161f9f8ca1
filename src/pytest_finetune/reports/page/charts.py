"""Inline SVG charts. The page's stylesheet colours them, and the page repeats their figures as text."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_finetune.verdicts.stopping import Stopping

Scale = tuple[float, float]

_BINS = 48

_INTERVAL = Markup(
    '<svg class="interval {kind}" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
    '<path class="track" d="M0 8H100"/>{shapes}</svg>'
)


def scale_of(values: Iterable[float | None], *, rate: bool) -> Scale:
    """
    Axis limits that include all values; a rate's lower limit is one of a few round numbers.

    Args:
        values: Values to include; None and infinities are ignored.
        rate: The values are in [0, 1].
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
    """A value with its interval and, if given, the gate's bar; `kind` are CSS classes, `hollow` for a hollow dot."""
    low, high = ends
    shapes = []
    if bar is not None:
        shapes.append(Markup('<path class="bar" d="M{x} 1V15"/>').format(x=_at(bar, scale)))
    if low is not None:
        # An interval without an upper bound extends to the end of the axis.
        end = scale[1] if high is None else high
        shapes.append(Markup('<path class="range" d="M{a} 8H{b}"/>').format(a=_at(low, scale), b=_at(end, scale)))
    if value is not None:
        # A zero-length line with round caps is a dot that stays round when the SVG is stretched.
        shapes.append(Markup('<path class="point" d="M{x} 8h0"/>').format(x=_at(value, scale)))
        if "hollow" in kind.split():
            shapes.append(Markup('<path class="hole" d="M{x} 8h0"/>').format(x=_at(value, scale)))
    return _INTERVAL.format(kind=kind, shapes=Markup("").join(shapes))


def histogram_svg(values: Sequence[float]) -> Markup:
    """Counts of values in equal-width bins from 0 to the maximum."""
    top = max(values, default=0.0) or 1.0
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int(value / top * _BINS))] += 1
    most = max(counts) or 1
    rects = Markup("").join(
        Markup('<path d="M{x} 30V{y}"/>').format(x=number + 0.5, y=round(30 - 29 * count / most, 1))
        for number, count in enumerate(counts)
        if count
    )
    return Markup(
        '<svg class="histogram" viewBox="0 0 {bins} 30" preserveAspectRatio="none" aria-hidden="true" '
        'focusable="false">{rects}</svg>'
    ).format(bins=_BINS, rects=rects)


def path_svg(stopping: Stopping, *, bar: float | None, kind: str) -> Markup:
    """The values at the looks of a sequential gate, between the boundaries at which it passes and fails."""
    path = stopping.path
    seen = [value for each in path for value in (each.value, each.passes_at, each.fails_at) if value is not None]
    low, high = min([*seen, *([] if bar is None else [bar])]), max([*seen, *([] if bar is None else [bar])])
    scale = low, high if high > low else low + 1.0

    def line(name: str, values: Iterable[tuple[int, float | None]]) -> Markup:
        places = [(100 * n / stopping.planned, 38 - 0.36 * _at(y, scale)) for n, y in values if y is not None]
        steps = "L".join(f"{x:.2f} {y:.2f}" for x, y in places)
        # A single point is a line without length, whose round caps make it a dot.
        return (
            Markup('<path class="{name}" d="M{steps}{dot}"/>').format(
                name=name, steps=steps, dot="h0" if len(places) == 1 else ""
            )
            if places
            else Markup("")
        )

    shapes = [
        line("bar", ((n, bar) for n in (0, stopping.planned))),
        line("passes", ((each.n, each.passes_at) for each in path)),
        line("fails", ((each.n, each.fails_at) for each in path)),
        line("values", ((each.n, each.value) for each in path)),
        *(line("point", [(each.n, each.value)]) for each in path[-1:]),
    ]
    return Markup(
        '<svg class="looks {kind}" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true" '
        'focusable="false">{shapes}</svg>'
    ).format(kind=kind, shapes=Markup("").join(shapes))


def _at(value: float, scale: Scale) -> float:
    low, high = scale
    return round(100 * (min(max(value, low), high) - low) / (high - low), 2)
