"""All figures of one eval set or of a slice of it, computed when they are used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_finetune.base.records import FormatFailure, State
from pytest_finetune.verdicts.metrics.confidence import accuracy_at_coverage, calibration_error, without_probability
from pytest_finetune.verdicts.metrics.drift import Drift, find_drift
from pytest_finetune.verdicts.metrics.labels import LabelTable, tabulate_labels
from pytest_finetune.verdicts.metrics.measure import NOTHING_MEASURED, QUANTILES, Measure, exact_sum, mean_share
from pytest_finetune.verdicts.metrics.plan import CaseSamples, groups_of, state_of
from pytest_finetune.verdicts.metrics.shares import SHARES, one_field_share, passed_share
from pytest_finetune.verdicts.stats import Interval, mean_interval, quantile_interval
from pytest_finetune.verdicts.stats.groups import effective_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_finetune.base.records import Case, Completion, Sample

EVERY_LABEL = "*"
"""In place of a label: the one with the lowest recall."""

_NOT_RUN = (State.UNRUN, State.UNNEEDED)


@dataclass(frozen=True)
class Summary:
    """
    The rows of a plan and every figure over them. Errors and unrun samples stay in every denominator.

    Args:
        rows: The cases with a place for every planned attempt.
        needed: Attempts that a case needs to pass; None if its share of passes counts.
        expected_label: The label that a case expects; None where answers are not labels.
        field: JSON path of the one field that `field_accuracy` is about; empty for all fields.
        coverage: Share of the cases, the most confident ones, that `accuracy_at_coverage` is about.
        label: The label that `recall` is about; `*` for the one with the lowest recall.
    """

    rows: tuple[CaseSamples, ...]
    needed: int | None = None
    expected_label: Callable[[Case], str] | None = None
    field: str = ""
    coverage: float = 1.0
    label: str = ""

    def value(self, metric: str, *, confidence: float = 0.95) -> Measure:
        """
        One metric by its name in settings.

        Rates are means over cases of the case's share, with an interval over cases. Latencies are those of answers
        that came over the wire. Tokens and cost are means over answers, None when those of any answer are unknown. So
        are the metrics of confidence, when the probability of any answer is unknown.

        Raises:
            KeyError: There is no such metric.
        """
        if metric in SHARES:
            return self._rate(metric, confidence)
        if metric in QUANTILES:
            return self._latency(QUANTILES[metric], confidence)
        others = {
            "macro_f1": self._macro_f1,
            "weighted_f1": self._weighted_f1,
            "recall": self._recall,
            "tokens_per_case": self._tokens_per_case,
            "cost_per_case": self._cost_per_case,
            "ece": self._calibration_error,
            "accuracy_at_coverage": self._accuracy_at_coverage,
        }
        return others[metric](confidence)

    def shares(self, metric: str) -> list[Fraction]:
        """The share of each case in plan order, for the metrics that are means over cases."""
        if metric == "accuracy":
            return [passed_share(row, self.needed) for row in self.rows]
        if metric == "field_accuracy" and self.field:
            return [one_field_share(row, self.field) for row in self.rows]
        return [SHARES[metric](row) for row in self.rows]

    @cached_property
    def planned(self) -> int:
        """Planned samples: cases x repeats."""
        return sum(len(row.samples) for row in self.rows)

    @cached_property
    def counts(self) -> Mapping[State, int]:
        """How the planned samples ended; the counts add up to `planned`."""
        found = Counter(state_of(sample) for sample in self._places)
        return {state: found[state] for state in State}

    @cached_property
    def requested(self) -> Summary:
        """
        The figures of the samples that were requested; the summary itself where all were.

        For reports of an interrupted run. Gates judge the whole plan, where an unrun sample counts as not passed.
        """
        if not sum(self.counts[state] for state in _NOT_RUN):
            return self
        ended = ((row.case, tuple(s for s in row.samples if s and s.state not in _NOT_RUN)) for row in self.rows)
        return replace(self, rows=tuple(CaseSamples(case, samples) for case, samples in ended if samples))

    def measured(self, metric: str) -> Measure:
        """
        One metric as a report shows it, which does not pass off unrun samples as measured.

        The same as `value` while every planned sample ended. Otherwise it is the value over the requested samples,
        without an interval, since they are not a random part of the plan; `n` is their number.

        Raises:
            KeyError: There is no such metric.
        """
        if self.requested is self:
            return self.value(metric)
        return Measure(self.requested.value(metric).exact, None, self.requested.planned)

    @cached_property
    def format_failures(self) -> Mapping[FormatFailure, int]:
        """Number of format failures by kind, most common first."""
        kinds = Counter(score.format_failure for row in self.rows for score in row.scores if score.format_failure)
        return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def drift(self) -> tuple[Drift, ...]:
        """How answers to the same case differ in form, by JSON path."""
        return find_drift(self.rows)

    @cached_property
    def labels(self) -> LabelTable | None:
        """Confusion matrix and F1 by label; None if the scorer has no labels."""
        return tabulate_labels(self.rows, self.expected_label) if self.expected_label else None

    @cached_property
    def by_label(self) -> Mapping[str, Summary]:
        """The figures of the cases that expect each label first, in alphabetical order; empty without labels."""
        rows: dict[str, list[CaseSamples]] = {}
        if label_of := self.expected_label:
            for row in self.rows:
                rows.setdefault(label_of(row.case), []).append(row)
        return {label: replace(self, rows=tuple(rows[label])) for label in sorted(rows)}

    @cached_property
    def recalled(self) -> str:
        """The label that `recall` is about: of all labels, the first one with the lowest recall; empty if none is."""
        if self.label == EVERY_LABEL:
            parts = self.by_label
            recalls = {label: exact_sum(part.shares("accuracy")) / len(part.rows) for label, part in parts.items()}
            return min(recalls, key=recalls.__getitem__, default="")
        return self.label if self.label in self.by_label else ""

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The model names that answered, in alphabetical order."""
        return tuple(sorted({completion.model for completion in self.completions if completion.model}))

    @cached_property
    def from_cache(self) -> int:
        """Number of answers from the response cache."""
        return sum(completion.from_cache for completion in self.completions)

    @cached_property
    def tokens(self) -> int | None:
        """Prompt and completion tokens of all answers; None if there are none, or any has no token count."""
        usages = [completion.usage for completion in self.completions]
        if not usages or None in usages:
            return None
        return sum(usage.prompt + usage.completion for usage in usages if usage)

    @cached_property
    def cost(self) -> Decimal | None:
        """US dollars for all answers and a judge's replies; None if there are none, or a price is unknown."""
        costs = [sample.total_cost for sample in self._places if sample and sample.completion]
        if not costs or None in costs:
            return None
        return sum((cost for cost in costs if cost is not None), Decimal(0))

    @cached_property
    def completions(self) -> list[Completion]:
        """All answers of the model, in plan order."""
        return [completion for row in self.rows for completion in row.completions]

    @cached_property
    def without_probability(self) -> int:
        """Number of answers whose probability is not known."""
        return without_probability(self.rows)

    @property
    def _places(self) -> Iterable[Sample | None]:
        return (sample for row in self.rows for sample in row.samples)

    @cached_property
    def groups(self) -> tuple[str, ...] | None:
        """The group of each case, in plan order, cases without one being groups of their own; None if none has one."""
        return groups_of(self.rows)

    def worth(self, metric: str = "accuracy", *, confidence: float = 0.95) -> float:
        """How many independent cases a mean over the cases is worth: their number, unless some are in groups."""
        if self.groups is None:
            return float(len(self.rows))
        return effective_size(list(map(float, self.shares(metric))), self.groups, confidence=confidence)

    def size_of_groups(self, metric: str = "accuracy", *, confidence: float = 0.95) -> float:
        """How many cases are worth one independent case: the design effect; 1 unless some are in groups."""
        metric = metric if metric in SHARES else "accuracy"
        return len(self.rows) / self.worth(metric, confidence=confidence)

    def _rate(self, metric: str, confidence: float) -> Measure:
        return mean_share(self.shares(metric), self.groups, confidence)

    def _macro_f1(self, confidence: float) -> Measure:
        return self._mean_f1(self.labels.macro_f1 if self.labels else None, confidence, weighted=False)

    def _weighted_f1(self, confidence: float) -> Measure:
        return self._mean_f1(self.labels.weighted_f1 if self.labels else None, confidence, weighted=True)

    def _mean_f1(self, value: Fraction | None, confidence: float, *, weighted: bool) -> Measure:
        if self.labels is None or value is None:
            return NOTHING_MEASURED
        times = self.worth(confidence=confidence) / len(self.rows)
        interval = self.labels.f1_interval(confidence, times=times, weighted=weighted)
        return Measure(value, interval, len(self.rows))

    def _recall(self, confidence: float) -> Measure:
        if not self.recalled:
            return NOTHING_MEASURED
        worst = self.by_label[self.recalled].value("accuracy", confidence=confidence)
        if self.label != EVERY_LABEL:
            return worst
        # The lowest of the lower ends is above the lowest recall only if the lower end of that label is too high. Any
        # of the upper ends may be too low, so each has its part of the error (Bonferroni).
        parts = self.by_label.values()
        shared = 1 - (1 - confidence) / len(parts)
        ends = [[part.value("accuracy", confidence=level).interval for part in parts] for level in (confidence, shared)]
        low = min(interval.low for interval in ends[0] if interval)
        high = min(interval.high for interval in ends[1] if interval)
        return replace(worst, interval=Interval(low, high))

    def _calibration_error(self, confidence: float) -> Measure:
        if not self.rows:
            return NOTHING_MEASURED
        share = self.worth(confidence=confidence) / len(self.rows)
        return calibration_error(self.rows, confidence=confidence, independent=share)

    def _accuracy_at_coverage(self, confidence: float) -> Measure:
        if not self.rows:
            return NOTHING_MEASURED
        share = self.worth(confidence=confidence) / len(self.rows)
        return accuracy_at_coverage(self.rows, self.coverage, confidence=confidence, independent=share)

    def _latency(self, quantile: Fraction, confidence: float) -> Measure:
        timed = sorted(completion.latency for completion in self.completions if completion.is_timed)
        if not timed:
            return NOTHING_MEASURED
        # The smallest latency that at least this share of the answers did not exceed.
        rank = -(-len(timed) * quantile.numerator // quantile.denominator)
        asked = [row for row in self.rows if any(completion.is_timed for completion in row.completions)]
        # A group may share what makes its answers slow, so it counts once.
        independent = len({row.case.group or (row.case.id,) for row in asked})
        interval = quantile_interval(timed, float(quantile), independent=independent, confidence=confidence)
        return Measure(Fraction(timed[rank - 1]), interval, len(timed))

    def _tokens_per_case(self, confidence: float) -> Measure:
        if self.tokens is None:
            return NOTHING_MEASURED
        means = [
            sum(completion.usage.prompt + completion.usage.completion for completion in answers if completion.usage)
            / len(answers)
            for answers in (row.completions for row in self.rows)
            if answers
        ]
        return Measure(Fraction(self.tokens, len(self.completions)), mean_interval(means, confidence), len(means))

    def _cost_per_case(self, confidence: float) -> Measure:
        # An answer from the cache costs nothing, so it does not say what a request costs.
        paid = [[s for s in row.samples if s and s.completion and not s.completion.from_cache] for row in self.rows]
        costs = [[sample.cost for sample in row] for row in paid if row]
        if not costs or any(cost is None for row in costs for cost in row):
            return NOTHING_MEASURED
        known = [[cost for cost in row if cost is not None] for row in costs]
        total, answers = sum((sum(row, Decimal(0)) for row in known), Decimal(0)), sum(map(len, known))
        means = [float(sum(row, Decimal(0))) / len(row) for row in known]
        return Measure(Fraction(total) / answers, mean_interval(means, confidence), len(means))
