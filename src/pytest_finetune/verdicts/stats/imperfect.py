"""The rate behind a rate that an imperfect judge reports, and the agreement of the judge with people."""

from __future__ import annotations

from fractions import Fraction
from math import hypot, sqrt

from pytest_finetune.verdicts.stats.interval import Interval, normal_deviate
from pytest_finetune.verdicts.stats.rates import rate_interval, wilson_interval


def corrected_rate(rate: Fraction, sensitivity: Fraction, specificity: Fraction) -> Fraction:
    """
    The share of right answers, given the share that a judge passes; cut to [0, 1].

    Args:
        rate: Share of the answers that the judge passes.
        sensitivity: Share of the right answers that the judge passes.
        specificity: Share of the wrong answers that the judge does not pass.

    Raises:
        ValueError: Sensitivity and specificity are together not above 1: the judge is no better than chance.

    Source: Rogan and Gladen (1978), American Journal of Epidemiology 107, 71-76.
    """
    informedness = sensitivity + specificity - 1
    if informedness <= 0:
        raise ValueError("sensitivity and specificity are together not above 1")
    return min(Fraction(1), max(Fraction(0), (rate + specificity - 1) / informedness))


def corrected_interval(
    passed: float,
    judged: float,
    right: tuple[float, int],
    wrong: tuple[float, int],
    *,
    confidence: float = 0.95,
) -> Interval:
    """
    Interval of the share of right answers, given verdicts of a judge with estimated sensitivity and specificity.

    Args:
        passed: Answers that the judge passes, 0 <= passed <= judged; may be a fraction.
        judged: Answers that were judged, above 0; count cases, not repeats of one case.
        right: Answers that people call right: how many the judge passes, and how many there are.
        wrong: Answers that people call wrong: how many the judge does not pass, and how many there are.
        confidence: Two-sided level in (0, 1).

    Returns:
        Lower and upper bound, each in [0, 1]; [0, 1] if the judge is no better than chance.

    Source: Lang and Reiczigel (2014), Preventive Veterinary Medicine 113, 13-22.
    """
    z = normal_deviate(confidence)
    n = judged + z * z
    p = (passed + z * z / 2) / n
    n_right, n_wrong = right[1] + 2, wrong[1] + 2
    sensitivity, specificity = (right[0] + 1) / n_right, (wrong[0] + 1) / n_wrong
    informedness = sensitivity + specificity - 1
    if informedness <= 0:
        return Interval(0.0, 1.0)
    rate = min(1.0, max(0.0, (p + specificity - 1) / informedness))
    of_right, of_wrong = sensitivity * (1 - sensitivity) / n_right, specificity * (1 - specificity) / n_wrong
    shift = 2 * z * z * (rate * of_right - (1 - rate) * of_wrong)
    spread = z * sqrt(p * (1 - p) / n + rate**2 * of_right + (1 - rate) ** 2 * of_wrong) / informedness
    return Interval(max(0.0, min(1.0, rate + shift - spread)), min(1.0, max(0.0, rate + shift + spread)))


def share_of_part(part: float, whole: float, rate: float, inside: Interval, *, confidence: float = 0.95) -> Interval:
    """
    Interval of (part / whole) x rate, where both factors are estimated.

    Args:
        part: Cases that have the rate; the others count as 0.
        whole: All cases.
        rate: The rate in the part.
        inside: Its interval.
        confidence: Two-sided level in (0, 1).

    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702 (MOVER), for a product to first order.
    """
    share, bounds = part / whole, rate_interval(part, whole, confidence=confidence)
    below = hypot(share * (rate - inside.low), rate * (share - bounds.low))
    above = hypot(share * (inside.high - rate), rate * (bounds.high - share))
    return Interval(max(0.0, share * rate - below), min(1.0, share * rate + above))


def informedness_interval(right: tuple[float, int], wrong: tuple[float, int], *, confidence: float = 0.95) -> Interval:
    """
    Interval of sensitivity + specificity - 1, Youden's index; the arguments are those of `corrected_interval`.

    Source: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10, for sensitivity minus (1 - specificity).
    """
    a, b = (wilson_interval(*pair, confidence=confidence) for pair in (right, wrong))
    p, q = right[0] / right[1], wrong[0] / wrong[1]
    return Interval(p + q - 1 - hypot(p - a.low, q - b.low), p + q - 1 + hypot(a.high - p, b.high - q))


def kappa(right: tuple[float, int], wrong: tuple[float, int], *, confidence: float = 0.95) -> tuple[float, Interval]:
    """
    Cohen's kappa of a judge and people, with its interval; the arguments are those of `corrected_interval`.

    Returns:
        The value and its interval, in [-1, 1]; 0 for a judge that always says the same.

    Source: Cohen (1960), Educational and Psychological Measurement 20, 37-46; the variance is that of Fleiss, Cohen
    and Everitt (1969), Psychological Bulletin 72, 323-327.
    """
    n = right[1] + wrong[1]
    cells = ((right[0] / n, (right[1] - right[0]) / n), ((wrong[1] - wrong[0]) / n, wrong[0] / n))
    people = [sum(row) for row in cells]
    judge = [cells[0][i] + cells[1][i] for i in (0, 1)]
    agreed = cells[0][0] + cells[1][1]
    by_chance = sum(people[i] * judge[i] for i in (0, 1))
    value = (agreed - by_chance) / (1 - by_chance)
    same = sum(cells[i][i] * (1 - (people[i] + judge[i]) * (1 - value)) ** 2 for i in (0, 1))
    different = sum(cells[i][1 - i] * (judge[i] + people[1 - i]) ** 2 for i in (0, 1)) * (1 - value) ** 2
    variance = same + different - (value - by_chance * (1 - value)) ** 2
    spread = normal_deviate(confidence) * sqrt(max(0.0, variance) / n) / (1 - by_chance)
    return value, Interval(max(-1.0, value - spread), min(1.0, value + spread))
