"""The progress line of a running session, fitted to the width of the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.reports.text import dollars

if TYPE_CHECKING:
    from pytest_finetune.evaluation.tally import Progress


def progress_line(progress: Progress, width: int) -> str:
    """
    Done, in flight, errors, accuracy so far, cost and time left; if they do not fit, the least important are dropped.

    Args:
        progress: The figures.
        width: Columns available.

    Returns:
        At most `width` columns; empty if not even the count fits.
    """
    parts = _parts(progress)
    while parts and len(line := "  ".join(text for _, text in parts)) > width:
        parts.remove(max(parts))
    return line if parts else ""


def _parts(progress: Progress) -> list[tuple[int, str]]:
    """Each part with its rank; the part with the highest rank is dropped first."""
    rates = ", ".join("-" if rate is None else f"{rate:.3f}" for rate in progress.accuracy)
    parts = [
        (0, f"{progress.done:,}/{progress.planned:,} done" if progress.planned else f"{progress.done:,} done"),
        (5, f"{progress.in_flight:,} in flight" if progress.in_flight is not None else ""),
        (2, f"{progress.errors:,} error{'' if progress.errors == 1 else 's'}" if progress.done else ""),
        (3, f"accuracy {rates}" if any(rate is not None for rate in progress.accuracy) else ""),
        (4, dollars(progress.cost) if progress.cost else ""),
        (1, f"{duration(progress.left)} left" if progress.left is not None else ""),
    ]
    return [part for part in parts if part[1]]


def duration(seconds: float) -> str:
    """A duration as `3:07` or `1:02:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
