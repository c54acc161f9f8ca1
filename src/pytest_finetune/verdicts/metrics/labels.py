"""The confusion matrix, precision, recall and F1 of labels, with confidence intervals of mean F1."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats import Interval, rate_interval
from pytest_finetune.verdicts.stats.interval import normal_deviate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.metrics.plan import CaseSamples

INVALID = "(invalid)"
"""The column of answers that are not a label."""

NO_ANSWER = "(no answer)"
"""The column of errors and unrun samples: they miss their label and are never predicted as another."""


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """
    The figures of one label.

    Precision is None for a label never answered; recall and F1 are None for one that no case expects.
    """

    label: str
    support: int
    precision: Fraction | None
    recall: Fraction | None
    f1: Fraction | None


@dataclass(frozen=True)
class LabelTable:
    """
    The confusion matrix over planned samples.

    Args:
        counts: Samples by (expected label, answered label); the second may be `INVALID` or `NO_ANSWER`.
        repeats: Attempts per case; the interval of macro F1 divides by it, to count cases.
    """

    counts: Mapping[tuple[str, str], int]
    repeats: int = 1

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels expected or answered, in alphabetical order."""
        return tuple(sorted({label for pair in self.counts for label in pair} - {INVALID, NO_ANSWER}))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The matrix's columns: the labels, then `INVALID` and `NO_ANSWER` if they occur."""
        answered = {answer for _, answer in self.counts}
        return (*self.labels, *(column for column in (INVALID, NO_ANSWER) if column in answered))

    @cached_property
    def figures(self) -> tuple[LabelFigures, ...]:
        """Support, precision, recall and F1 of each label."""
        return tuple(self._figures(label) for label in self.labels)

    @cached_property
    def macro_f1(self) -> Fraction | None:
        """Mean F1 over the labels that a planned case expects; None where there is none."""
        values = [figures.f1 for figures in self.figures if figures.f1 is not None]
        return sum(values, Fraction(0)) / len(values) if values else None

    @cached_property
    def weighted_f1(self) -> Fraction | None:
        """Mean F1 over the labels that a planned case expects, each with the weight of its cases; None without any."""
        values = [(figures.f1, figures.support) for figures in self.figures if figures.f1 is not None]
        total = sum(support for _, support in values)
        return sum((f1 * support for f1, support in values), Fraction(0)) / total if values else None

    def f1_interval(self, confidence: float, *, times: float = 1, weighted: bool = False) -> Interval | None:
        """
        Confidence interval of macro F1 or weighted F1, valid at 1.0 too, where resampling would claim certainty.

        A label's F1 is 2J / (1 + J) of the rate J at which the cases that involve it, expecting or answering it, get
        it right; J has an exact interval. The labels' distances to their bounds add up as squares do, doubled because
        one mistake can hurt two labels, and no mistake hurts more: (x + y)² <= 2 (x² + y²). Two things would make the
        upper end too low, with many labels of few cases each: F1 is a concave function of J, so that it is too low on
        average, by -f''(J) J (1 - J) / 2m for m cases, which is added; and a bound near 1 says little about how much a
        mistake costs, so that the end is at least z standard errors of the linearized F1 above.

        Args:
            confidence: Two-sided level in (0, 1).
            times: Scale the evidence by this factor, to estimate how many more cases are needed.
            weighted: Weigh each label by the cases that expect it; otherwise all labels weigh the same.

        Sources: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702, for combining the bounds; Oehlert (1992),
        The American Statistician 46, 27-29, for bias and standard error by the delta method.
        """
        value = self.weighted_f1 if weighted else self.macro_f1
        if value is None:
            return None
        expected = [figures for figures in self.figures if figures.f1 is not None]
        total = sum(figures.support for figures in expected)
        weights = {one.label: one.support / total if weighted else 1 / len(expected) for one in expected}
        below = above = bias = 0.0
        for one in expected:
            weight, f1 = weights[one.label], float(one.f1 or 0)
            bounds = self._f1_interval(one.label, confidence, times)
            below += (weight * (f1 - bounds.low)) ** 2
            above += (weight * (bounds.high - f1)) ** 2
            bias += weight * self._f1_bias(one.label, times)
        error = normal_deviate(confidence) * self._f1_error(weights, weighted=weighted) / sqrt(times)
        centre = float(value)
        high = centre + bias + max(sqrt(2 * above), error)
        return Interval(max(0.0, centre - sqrt(2 * below)), min(1.0, high))

    def _f1_bias(self, label: str, times: float) -> float:
        """How much a label's F1 is too low on average; with one more right and one more wrong case it is never 0."""
        right, support, answered = self._margins(label)
        involved = (support + answered - right) * times / self.repeats
        rate = (right * times / self.repeats + 1) / (involved + 2)
        return 2 * rate * (1 - rate) / ((1 + rate) ** 3 * involved)

    def _f1_error(self, weights: Mapping[str, float], *, weighted: bool) -> float:
        """The standard error of the mean F1, from what one more sample of each kind would change in it."""
        sizes = {label: self._support[label] + self._answered[label] for label in weights}
        f1 = {label: 2 * self.counts.get((label, label), 0) / sizes[label] for label in weights}
        cost = {label: weights[label] * f1[label] / sizes[label] for label in weights}
        total = sum(self._support[label] for label in weights)
        mean = sum(weights[label] * f1[label] for label in weights)
        variance = 0.0
        for (expected, answered), count in self.counts.items():
            change = -cost[expected] - cost.get(answered, 0.0)
            change += 2 * weights[expected] / sizes[expected] if expected == answered else 0.0
            change += (f1[expected] - mean) / total if weighted else 0.0
            variance += count * change * change
        # Attempts at one case are not independent: their number does not make the evidence larger.
        return sqrt(variance * self.repeats)

    def _figures(self, label: str) -> LabelFigures:
        right, support, answered = self._margins(label)
        return LabelFigures(
            label,
            support,
            Fraction(right, answered) if answered else None,
            Fraction(right, support) if support else None,
            Fraction(2 * right, support + answered) if support else None,
        )

    def _f1_interval(self, label: str, confidence: float, times: float) -> Interval:
        right, support, answered = self._margins(label)
        scale = times / self.repeats
        rate = rate_interval(right * scale, (support + answered - right) * scale, confidence=confidence)
        return Interval(2 * rate.low / (1 + rate.low), 2 * rate.high / (1 + rate.high))

    def _margins(self, label: str) -> tuple[int, int, int]:
        return self.counts.get((label, label), 0), self._support[label], self._answered[label]

    @cached_property
    def _support(self) -> Counter[str]:
        return _totals(self.counts, 0)

    @cached_property
    def _answered(self) -> Counter[str]:
        return _totals(self.counts, 1)


def tabulate_labels(rows: Sequence[CaseSamples], expected_label: Callable[[Case], str]) -> LabelTable:
    """The confusion matrix of planned samples; a right answer among several expected ones counts as its own label."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        label = expected_label(row.case)
        counts.update(_pair(label, sample) for sample in row.samples)
    return LabelTable(dict(counts), len(rows[0].samples) if rows else 1)


def _pair(expected: str, sample: Sample | None) -> tuple[str, str]:
    if sample is None or sample.score is None:
        return expected, NO_ANSWER
    answered = sample.score.label or INVALID
    return (answered if sample.score.passed and sample.score.label else expected), answered


def _totals(counts: Mapping[tuple[str, str], int], side: int) -> Counter[str]:
    totals: Counter[str] = Counter()
    for pair, count in counts.items():
        totals[pair[side]] += count
    return totals
