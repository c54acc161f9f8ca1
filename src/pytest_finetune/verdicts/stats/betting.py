"""E-processes: the capital of a bettor against the bar, whose growth is evidence at whatever time one looks."""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, log, log2, sqrt
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Bets = tuple[tuple[float, ...], tuple[float, ...]]

_STEPS = 40
_PER_OCTAVE = 4
_FEWEST = 8


def log_capital(bets: tuple[float, ...], values: Mapping[float, float], bar: float) -> float:
    """
    Logarithm of the mean capital of bettors who each start with 1 and bet a fixed amount on every case.

    Each case multiplies the capital by 1 + bet * (value - bar). If the true mean is at the bar, the expectation of
    each factor is 1, so the capital ever reaches 1 / tail with a probability of at most `tail`. This holds on the
    other side of the bar too, for bets that all have one sign.

    Args:
        bets: One for each bettor, above 0 on values above the bar; none makes a factor negative.
        values: How often each value was seen. A value between two others may be split between them: the logarithm is
            concave, so the capital is then too small, never too large.
        bar: What the mean is compared with.

    Source: Ville (1939) for the inequality; Waudby-Smith and Ramdas (2024), JRSS B 86, 1-27, for bets on the mean of
    bounded values, mixed over a grid of fixed bets.
    """
    logs = [sum(count * _log(1 + bet * (value - bar)) for value, count in values.items() if count) for bet in bets]
    top = max(logs)
    return top if top == -inf else top + log(sum(exp(each - top) for each in logs) / len(bets))


@lru_cache(maxsize=256)
def rate_bets(planned: int, bar: float) -> Bets:
    """Bets on a rate above a bar in (0, 1), and on one below."""
    least = 1 / sqrt(planned * bar * (1 - bar))
    return _grid(least, 1 / bar), tuple(-bet for bet in _grid(least, 1 / (1 - bar)))


@lru_cache(maxsize=256)
def gain_bets(planned: int, bar: float) -> Bets:
    """Bets on a mean gain, of values in [-1, 1], above a bar in (-1, 0], and on one below."""
    least = 1 / sqrt(planned)
    return _grid(least, 1 / (1 + bar)), tuple(-bet for bet in _grid(least, 1 / (1 - bar)))


def betting_interval(
    values: Mapping[float, float],
    bets_at: Callable[[float], Bets],
    reach: tuple[float, float],
    mean: float,
    confidence: float,
) -> Interval:
    """
    The means that no bettor has ruled out: an interval that holds at whatever time one looks.

    Args:
        values: How often each value was seen.
        bets_at: The bets against a bar, above and below it.
        reach: The smallest and largest possible value.
        mean: Of the values.
        confidence: Two-sided level in (0, 1).

    Source: Waudby-Smith and Ramdas (2024): a confidence sequence by inverting tests by betting.
    """
    enough = log(2 / (1 - confidence))

    def end(extreme: float, side: int) -> float:
        """From the mean outwards, the first bar that is ruled out."""
        inner, outer = mean, extreme
        if inner == outer:
            return extreme
        for _ in range(_STEPS):
            middle = (inner + outer) / 2
            ruled_out = log_capital(bets_at(middle)[side], values, middle) >= enough
            inner, outer = (inner, middle) if ruled_out else (middle, outer)
        return outer

    return Interval(end(reach[0], 0), end(reach[1], 1))


def _grid(least: float, most: float) -> tuple[float, ...]:
    """
    Bets from the best one for the smallest effect that so many cases can show up to the largest one possible.

    They depend on the plan alone. Their ratio is constant: a bet that is off by a fifth grows almost as fast.
    """
    least = min(least, most / 4)
    count = max(_FEWEST, round(log2(most / least) * _PER_OCTAVE))
    return tuple(least * (most / least) ** (place / count) for place in range(count + 1))


def _log(factor: float) -> float:
    # The largest bet loses everything at once, and rounding may make that a negative amount.
    return log(factor) if factor > 1e-12 else -inf  # noqa: PLR2004
