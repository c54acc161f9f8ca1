"""Gates that are decided at the first look at the evidence which is clear enough."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.asking_order import asking_order
from pytest_finetune.verdicts.comparison import difference_of, find_flips
from pytest_finetune.verdicts.gates.bars import limit_of
from pytest_finetune.verdicts.gates.baselines import drop_text, more_pairs
from pytest_finetune.verdicts.gates.verdict import Status
from pytest_finetune.verdicts.gates.wording import figure, interval_text, settling_text
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.stats import more_cases_for_rate
from pytest_finetune.verdicts.stats.interval import Interval
from pytest_finetune.verdicts.stats.pair_looks import PairCounts, PairDesign
from pytest_finetune.verdicts.stats.rate_looks import RateDesign
from pytest_finetune.verdicts.stopping import LookPoint, Stopping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Verdict
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.metrics.plan import CaseSamples
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats.spending import Sequential

_NOT_ASKED = (State.UNRUN, State.UNNEEDED)
_STATUS = {1: Status.PASS, -1: Status.FAIL, 0: Status.INCONCLUSIVE}


def deciding_look(inputs: GateInputs) -> int | None:
    """
    The look that decides a sequential gate, from 0: the first one that crosses a boundary, else the last one.

    None if a case is missing that a look before that needs. Cases that were asked later than the look that decides
    change nothing.
    """
    looks = looks_of(inputs)
    if looks is None:
        return None
    for look, n in enumerate(looks.sizes):
        if not looks.is_complete(n):
            return None
        if looks.signal(look):
            return look
    return len(looks.sizes) - 1


def judge_sequential(inputs: GateInputs) -> Verdict:
    """The verdict on a sequential gate, given complete evidence up to the look that decides it."""
    looks, look = looks_of(inputs), deciding_look(inputs)
    if looks is None or look is None:
        return inputs.verdict(Status.INCOMPLETE, "incomplete: cases are missing that the next look needs")
    verdict = looks.verdict(look)
    path = tuple(looks.point(place) for place in range(look + 1))
    sizes = looks.sizes
    stopping = Stopping(looks.method, look + 1, len(sizes), sizes[look], sizes[-1], path)
    ended = (
        f": decided at {stopping.text}" if verdict.status is not Status.INCONCLUSIVE else f": open at {stopping.text}"
    )
    return replace(verdict, message=f"{verdict.message}{ended}{looks.settling(verdict, look)}", stopping=stopping)


def looks_of(inputs: GateInputs) -> _Looks | None:
    """What a sequential gate sees at each look; None without the baseline that it compares with."""
    if inputs.rule.compares:
        return None if inputs.baseline_table is None or not inputs.sliced.rows else _DropLooks(inputs)
    return _RateLooks(inputs) if inputs.sliced.rows else None


def in_asking_order(inputs: GateInputs) -> list[str]:
    """The ids of the gate's cases in the order in which they are asked."""
    cases = [row.case for row in inputs.sliced.rows]
    return [case.id for case in asking_order(cases, inputs.table.cases_sha256)]


@dataclass
class _Looks(ABC):
    inputs: GateInputs

    @property
    def rule(self) -> Rule:
        return self.inputs.rule

    @property
    def method(self) -> Sequential:
        if not self.rule.sequential:
            raise ValueError(f"{self.rule.label} is not sequential")
        return self.rule.sequential

    @property
    def confidence(self) -> float:
        return self.rule.confidence or 0.95

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """Cases at each look."""

    @abstractmethod
    def signal(self, look: int) -> int:
        """1 for a pass, -1 for a fail, 0 if it is open."""

    @abstractmethod
    def point(self, look: int) -> LookPoint:
        """The value and the boundaries at a look."""

    @abstractmethod
    def verdict(self, look: int) -> Verdict:
        """The verdict at the look that decides, but for where it stopped."""

    @abstractmethod
    def more_cases(self, look: int) -> int | None:
        """How many more cases would settle an open verdict."""

    def settling(self, verdict: Verdict, look: int) -> str:
        return settling_text(self.more_cases(look)) if verdict.status is Status.INCONCLUSIVE else ""

    def is_complete(self, n: int) -> bool:
        return all(map(_has_ended, self.rows[:n]))

    @cached_property
    def rows(self) -> list[CaseSamples]:
        return _ordered(self.inputs.summary, self.inputs)


class _RateLooks(_Looks):
    """A rate against a bar; one that has to stay within it is the complement of one that has to reach it."""

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._design.sizes

    def signal(self, look: int) -> int:
        return self._design.signal(look, self._successes(look))

    def point(self, look: int) -> LookPoint:
        n = self.sizes[look]
        passes, fails = self._design.limits(look)
        return LookPoint(n, self._shown(self._successes(look) / n), *map(self._maybe_shown, (passes, fails)))

    def verdict(self, look: int) -> Verdict:
        n, successes, bar = self.sizes[look], self._successes(look), limit_of(self.rule)
        value = self._shown(self._design.estimate(look, successes))
        found = self._design.interval(look, successes)
        ends = sorted((self._shown(found.low), self._shown(found.high)))
        interval = Interval(*ends)
        count = successes if self.rule.upward else n - successes
        text = f"{self.rule.metric} {figure(value, bar)} (median-unbiased; {count:g} of the first {n:,} cases)"
        text += interval_text(interval, self.confidence) + ", both corrected for stopping"
        text += f", bar {'>=' if self.rule.upward else '<='} {bar:g}"
        return self.inputs.verdict(_STATUS[self.signal(look)], text, value=value, interval=interval)

    def more_cases(self, look: int) -> int | None:
        plain = self.point(look).value
        return more_cases_for_rate(plain, self.sizes[look], limit_of(self.rule), confidence=self.confidence)

    @cached_property
    def _design(self) -> RateDesign:
        bar = as_written(limit_of(self.rule))
        return RateDesign(self.method, len(self.rows), float(bar if self.rule.upward else 1 - bar), self.confidence)

    def _successes(self, look: int) -> float:
        n = self.sizes[look]
        passed = self._sums[n - 1]
        return float(passed if self.rule.upward else n - passed)

    @cached_property
    def _sums(self) -> list[Fraction]:
        shares = dict(zip((row.case.id for row in self.inputs.summary.rows), self._shares, strict=True))
        return list(accumulate(shares[row.case.id] for row in self.rows))

    @property
    def _shares(self) -> Sequence[Fraction]:
        return self.inputs.summary.shares(self.rule.metric)

    def _shown(self, rate: float) -> float:
        return rate if self.rule.upward else 1 - rate

    def _maybe_shown(self, rate: float | None) -> float | None:
        return None if rate is None else self._shown(rate)


class _DropLooks(_Looks):
    """A drop against a baseline over the same cases."""

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._design.sizes

    def is_complete(self, n: int) -> bool:
        return super().is_complete(n) and all(map(_has_ended, self._before_rows[:n]))

    def signal(self, look: int) -> int:
        return self._design.signal(look, self._counts(look))

    def point(self, look: int) -> LookPoint:
        counts = self._counts(look)
        return LookPoint(counts.n, counts.drop, *self._design.limits(look, counts))

    def verdict(self, look: int) -> Verdict:
        counts = self._counts(look)
        value, interval = self._design.estimate(look, counts), self._design.interval(look, counts)
        plain = "not corrected" if self.method == "e-process" else "median-unbiased"
        text = drop_text(self.inputs, as_written(value), limit_of(self.rule))
        text += f" ({plain}; {counts.worse:g} lost for {counts.better:g} won in the first {counts.n:,} cases)"
        text += interval_text(interval, self.confidence, "of the drop ") + ", corrected for stopping"
        flips = find_flips(*self._summaries(counts.n)) if self.rule.metric == "accuracy" else ()
        return self.inputs.verdict(_STATUS[self.signal(look)], text, value=value, interval=interval, flips=flips)

    def more_cases(self, look: int) -> int | None:
        before, now = (each.shares(self.rule.metric) for each in self._summaries(self.sizes[look]))
        return more_pairs(difference_of(before, now), limit_of(self.rule), self.confidence)

    @cached_property
    def _design(self) -> PairDesign:
        return PairDesign(self.method, len(self.rows), limit_of(self.rule), self.confidence)

    @cached_property
    def _before_rows(self) -> list[CaseSamples]:
        return _ordered(self.inputs.before, self.inputs)

    def _summaries(self, n: int) -> tuple[Summary, Summary]:
        before = replace(self.inputs.before, rows=tuple(self._before_rows[:n]))
        return before, replace(self.inputs.summary, rows=tuple(self.rows[:n]))

    def _counts(self, look: int) -> PairCounts:
        n = self.sizes[look]
        worse, better = self._sums[n - 1]
        return PairCounts(float(worse), float(better), n)

    @cached_property
    def _sums(self) -> list[tuple[Fraction, Fraction]]:
        before, now = (each.shares(self.rule.metric) for each in self._summaries(len(self.rows)))
        falls = [old - new for old, new in zip(before, now, strict=True)]
        worse = accumulate(max(fall, Fraction(0)) for fall in falls)
        return list(zip(worse, accumulate(max(-fall, Fraction(0)) for fall in falls), strict=True))


def _ordered(summary: Summary, inputs: GateInputs) -> list[CaseSamples]:
    rows = {row.case.id: row for row in summary.rows}
    return [rows[case_id] for case_id in in_asking_order(inputs)]


def _has_ended(row: CaseSamples) -> bool:
    return all(sample is not None and sample.state not in _NOT_ASKED for sample in row.samples)
