"""Cases that are not independent: how many independent ones a mean over groups of them is worth."""

from __future__ import annotations

from collections import Counter
from math import fsum
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.samples import t_deviate

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def effective_size(values: Sequence[float], groups: Sequence[Hashable], *, confidence: float = 0.95) -> float:
    """
    The number of independent cases that a mean over grouped cases is worth, for an interval of a rate.

    It is n / design effect, where the design effect is the variance of the mean between groups, divided by that of as
    many independent cases, and at least 1; reduced further because a variance of few groups is uncertain. The groups
    that hold nothing but the most common value say little about how alike the cases of a group are. The design effect
    is therefore averaged over the others and one group whose cases are all alike; without any others, groups count.

    Args:
        values: The value of each case.
        groups: The group of each case, in the same order.
        confidence: Two-sided level of the interval, in (0, 1).

    Returns:
        At most the number of cases.

    Source: Korn and Graubard (1998), Survey Methodology 24, 193-201, with the variance of a ratio mean of clusters by
    linearization, for instance Cochran, Sampling Techniques (1977), 9A; Kish (1965), 5.4, for groups whose cases are
    all alike. The average with such a group is this project's own: see docs/verdicts.md for what it is needed for.
    """
    n, mean = len(values), fsum(values) / len(values)
    members: dict[Hashable, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        members.setdefault(group, []).append(value)
    count = len(members)
    if count in (1, n):
        return float(count)
    alike = sum(len(each) ** 2 for each in members.values()) / n
    common = Counter(values).most_common(1)[0][0]
    telling = sum(any(value != common for value in each) for each in members.values())
    if not telling:
        return n / alike
    spread = fsum((value - mean) ** 2 for value in values) / (n - 1)
    between = count / (count - 1) * fsum(fsum(value - mean for value in each) ** 2 for each in members.values()) / n
    effect = (telling * max(1.0, between / spread) + alike) / (telling + 1)
    certainty = (t_deviate(n - 1, confidence) / t_deviate(count - 1, confidence)) ** 2
    return min(float(n), n / effect * certainty)
