"""The beta distribution in plain Python, since importing scipy would take longer than all the rest of the plugin."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

_TINY = 1e-300
_EPSILON = 1e-15


def beta_cdf(x: float, a: float, b: float) -> float:
    """
    Regularised incomplete beta function I_x(a, b), for 0 <= x <= 1 and a, b > 0.

    Source: Abramowitz and Stegun (1964), 26.5.8, evaluated by the modified Lentz method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The continued fraction converges fast only left of the mean; the other side is its mirror image.
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    return exp(_log_front(x, a, b)) * _continued_fraction(x, a, b) / a


def beta_quantile(probability: float, a: float, b: float, *, start: float) -> float:
    """
    The x at which I_x(a, b) reaches `probability`, by Newton steps that never leave a shrinking bracket.

    Args:
        probability: In (0, 1).
        a: First shape parameter, above 0.
        b: Second shape parameter, above 0.
        start: A first guess; a bad one costs time and nothing else.

    Source: the inverse of `beta_cdf`, whose derivative is the beta density (Abramowitz and Stegun, 1964, 26.5.1).
    """
    low, high, x = 0.0, 1.0, min(max(start, 1e-9), 1 - 1e-9)
    for _ in range(200):
        miss = beta_cdf(x, a, b) - probability
        low, high = (low, x) if miss > 0 else (x, high)
        density = exp(_log_front(x, a, b)) / (x * (1 - x))
        step = x - miss / density if density > _TINY else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - x) < _EPSILON:
            break
        x = following
    return x


def _log_front(x: float, a: float, b: float) -> float:
    return lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or _TINY)
            c = 1 + term / c or _TINY
            fraction *= d * c
        if abs(d * c - 1) < _EPSILON:
            break
    return fraction
