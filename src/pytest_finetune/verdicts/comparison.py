"""Two runs over the same cases, paired by case: which cases flipped, by how much, and whether that is chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.breakdown import field_shares, rows_with_field, scorer_shares
from pytest_finetune.verdicts.metrics.measure import exact_sum
from pytest_finetune.verdicts.metrics.plan import groups_of
from pytest_finetune.verdicts.stats import Interval, group_mcnemar, mcnemar, paired_interval, paired_p_value
from pytest_finetune.verdicts.stats.groups import effective_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from fractions import Fraction

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.metrics.labels import LabelTable
    from pytest_finetune.verdicts.metrics.summary import Summary


@dataclass(frozen=True, slots=True)
class Flip:
    """
    A case that passed in one run and not in the other, with all samples of both.

    `lost` is true if it passed in the first run, the baseline.
    """

    case_id: str
    lost: bool
    before: tuple[Sample | None, ...]
    after: tuple[Sample | None, ...]


@dataclass(frozen=True, slots=True)
class MetricDrop:
    """
    The drop of a metric from one run to another, a mean over cases.

    Args:
        drop: Before minus after; above 0 is worse.
        better, worse: Sums of the cases' rises and drops.
        n: Cases.
        worth: Independent cases that they are worth; fewer than `n` if cases are in groups.
    """

    drop: Fraction
    better: Fraction
    worse: Fraction
    n: int
    worth: float | None = None

    def interval(self, confidence: float, *, times: float = 1) -> Interval:
        """Confidence interval of the drop; `times` scales the evidence, to estimate how many more cases are needed."""
        times *= 1.0 if self.worth is None else self.worth / self.n
        worse, better = float(self.worse) * times, float(self.better) * times
        return paired_interval(worse, better, self.n * times, confidence=confidence)

    def p_value(self, margin: float, *, larger: bool = False) -> float:
        """One-sided p-value against a margin: small if the drop is smaller than it, or `larger`."""
        times = 1.0 if self.worth is None else self.worth / self.n
        counts = float(self.worse) * times, float(self.better) * times, self.n * times
        return paired_p_value(*counts, margin, larger=larger)


@dataclass(frozen=True, slots=True)
class NamedChange:
    """What changed in one field of JSON answers, by its path, or for one scorer, by its name."""

    name: str
    before: Fraction
    after: Fraction
    difference: MetricDrop


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What changed between two runs.

    Args:
        before, after: The accuracy of each.
        difference: The drop of the accuracy.
        confidence: Two-sided level of the interval, and 1 minus that of the test.
        interval: Of that drop.
        flips: Every case that passed in only one run, in plan order.
        p_value: Exact McNemar test: probability of a difference at least this large between equally good models. If
            cases are in groups, that of `group_mcnemar`.
        fields: The change of each field, over the cases that expect it, the largest drop first; empty for answers
            without fields, and where a record does not say which are wrong.
        scorers: The same for each scorer that does not decide.
        groups: Number of groups, a case without one counting as one; None if no case is in a group.
        labels: The baseline's confusion matrix; None if answers are not labels, or the cases are not known.
    """

    before: Fraction
    after: Fraction
    difference: MetricDrop
    confidence: float
    interval: Interval
    flips: tuple[Flip, ...]
    p_value: float
    fields: tuple[NamedChange, ...] = ()
    scorers: tuple[NamedChange, ...] = ()
    groups: int | None = None
    labels: LabelTable | None = None

    @property
    def lost(self) -> tuple[Flip, ...]:
        """Cases that passed before and do not now."""
        return tuple(flip for flip in self.flips if flip.lost)

    @property
    def won(self) -> tuple[Flip, ...]:
        """Cases that pass now and did not before."""
        return tuple(flip for flip in self.flips if not flip.lost)

    @property
    def test(self) -> str:
        """Name of the test that gave the p-value."""
        return "McNemar" if self.groups is None else "sign-flip test of groups"

    @property
    def grouping(self) -> str:
        """`500 cases in 100 groups count as 143`; empty if no case is in a group."""
        if self.groups is None or self.difference.worth is None:
            return ""
        return f"{self.difference.n:,} cases in {self.groups:,} groups count as {self.difference.worth:,.0f}"

    @property
    def worse(self) -> bool:
        """Significantly more cases were lost than won: p is below 1 - confidence."""
        return len(self.lost) > len(self.won) and self.p_value < 1 - self.confidence


def compare(before: Summary, after: Summary, *, confidence: float = 0.95) -> Comparison:
    """
    Compare two runs of the same plan.

    Args:
        before: The baseline, summarized over the plan's cases.
        after: The new run, over the same cases.
        confidence: Two-sided level of the interval, and 1 minus that of `Comparison.worse`.

    Raises:
        ValueError: The two have different cases, or none.
    """
    old, new = before.shares("accuracy"), after.shares("accuracy")
    difference = difference_of(old, new, after.groups, confidence=confidence)
    flips = find_flips(before, after)
    return Comparison(
        before=exact_sum(old) / len(old),
        after=exact_sum(new) / len(new),
        difference=difference,
        confidence=confidence,
        interval=difference.interval(confidence),
        flips=flips,
        p_value=_p_value(flips, after),
        groups=None if after.groups is None else len(set(after.groups)),
        fields=field_changes(before, after),
        scorers=_changes(scorer_shares(before.rows), scorer_shares(after.rows), lambda _: after.groups),
        labels=before.labels,
    )


def _p_value(flips: Sequence[Flip], after: Summary) -> float:
    if after.groups is None:
        lost = sum(flip.lost for flip in flips)
        return mcnemar(lost, len(flips) - lost)
    group_of = dict(zip((row.case.id for row in after.rows), after.groups, strict=True))
    sums: Counter[str] = Counter()
    for flip in flips:
        sums[group_of[flip.case_id]] += 1 if flip.lost else -1
    return group_mcnemar(sums.values())


def field_changes(before: Summary, after: Summary) -> tuple[NamedChange, ...]:
    """How each field changed, the largest drop first."""

    def groups(field: str) -> Sequence[str] | None:
        return None if after.groups is None else groups_of(rows_with_field(after.rows, field))

    return _changes(field_shares(before.rows), field_shares(after.rows), groups)


def _changes(
    before: dict[str, list[Fraction]],
    after: dict[str, list[Fraction]],
    groups: Callable[[str], Sequence[str] | None],
) -> tuple[NamedChange, ...]:
    found = [
        NamedChange(name, exact_sum(old) / len(old), exact_sum(new) / len(new), difference_of(old, new, groups(name)))
        for name, new in after.items()
        if (old := before.get(name))
    ]
    return tuple(sorted(found, key=lambda change: (-change.difference.drop, change.name)))


def difference_of(
    before: Sequence[Fraction],
    after: Sequence[Fraction],
    groups: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
) -> MetricDrop:
    """
    The mean drop from one list of case shares to another; with the group of each case, if some are in groups.

    `confidence` is the level of the interval that the number of independent cases is for.

    Raises:
        ValueError: The lists have different lengths, or are empty.
    """
    if not before:
        raise ValueError("no case to compare")
    falls = [old - new for old, new in zip(before, after, strict=True)]
    worse = exact_sum([fall for fall in falls if fall > 0])
    better = -exact_sum([fall for fall in falls if fall < 0])
    worth = None if groups is None else effective_size(list(map(float, falls)), groups, confidence=confidence)
    return MetricDrop((worse - better) / len(falls), better, worse, len(falls), worth)


def find_flips(before: Summary, after: Summary) -> tuple[Flip, ...]:
    """
    Cases that passed in only one run, in plan order.

    With repeats, a case passes if every attempt does, or as many as the summaries' `needed` requires.

    Raises:
        ValueError: The two have different cases.
    """
    flips: list[Flip] = []
    for old, new in zip(before.rows, after.rows, strict=True):
        if old.case.id != new.case.id:
            raise ValueError(f"case {old.case.id!r} is paired with {new.case.id!r}")
        passed_before, passed_after = old.passes(before.needed), new.passes(after.needed)
        if passed_before != passed_after:
            flips.append(Flip(old.case.id, passed_before, old.samples, new.samples))
    return tuple(flips)


def differing_cases(before: Iterable[Sample], after: Iterable[Sample]) -> tuple[str, ...]:
    """Ids of cases that only one of two runs has, or whose prompts differ."""
    old, new = _questions(before), _questions(after)
    return tuple(sorted(case for case in old.keys() | new.keys() if old.get(case) != new.get(case)))


def _questions(samples: Iterable[Sample]) -> dict[str, str]:
    return {sample.case_id: sample.prompt_sha256 for sample in samples}
