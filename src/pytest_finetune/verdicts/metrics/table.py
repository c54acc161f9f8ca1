"""The samples of a plan: one row per case, one place per attempt. Summaries and gates use slices of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.metrics.parts import Part
from pytest_finetune.verdicts.metrics.plan import CaseSamples
from pytest_finetune.verdicts.metrics.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.metrics.calibration import Calibration


NO_PARTS: Mapping[str, Part] = MappingProxyType({})


@dataclass(frozen=True)
class SampleTable:
    """
    The plan of one eval set, cases x repeats, with the samples that were made.

    Args:
        rows: Every planned case in file order.
        repeats: Planned attempts per case.
        eval_set: Name of the set.
        cases_sha256: Hash of the cases; a baseline must have the same.
        expected_label: The label a case expects, after normalizing; None where answers are not labels.
        parts: By name, the scorers of the set that do not decide what passed.
        judge: The calibration of the judge that gave the verdicts; None if a rule gave them.
    """

    rows: tuple[CaseSamples, ...]
    repeats: int = 1
    eval_set: str = ""
    cases_sha256: str = ""
    expected_label: Callable[[Case], str] | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    judge: Calibration | None = None

    @property
    def has_judge(self) -> bool:
        """Whether a judge gave any of the scores."""
        return self.judge is not None or any(part.judge for part in self.parts.values())

    @cached_property
    def summary(self) -> Summary:
        """The figures over all rows; a case counts with its share of passes."""
        return Summary(self.rows, expected_label=self.expected_label)

    def slice(self, covers: Callable[[Case], bool]) -> SampleTable:
        """The rows of the cases that `covers` accepts; if those are all, the table itself with its summary."""
        rows = tuple(row for row in self.rows if covers(row.case))
        return self if len(rows) == len(self.rows) else replace(self, rows=rows)

    def part(self, scorer: str) -> SampleTable:
        """The same plan with the scores of one scorer, by its name; empty for the one that decides what passed."""
        if not scorer:
            return self
        if scorer not in self._views:
            part = self.parts.get(scorer, Part())
            self._views[scorer] = replace(
                self, rows=part.rows(self.rows, scorer), expected_label=part.expected_label, parts={}, judge=part.judge
            )
        return self._views[scorer]

    @cached_property
    def _views(self) -> dict[str, SampleTable]:
        return {}

    def with_samples(self, samples: Iterable[Sample]) -> SampleTable:
        """The same plan with the samples of another run."""
        return replace(self, rows=_rows([row.case for row in self.rows], samples, self.repeats, self.eval_set))


def lay_out(
    cases: Sequence[Case],
    samples: Iterable[Sample],
    *,
    repeats: int = 1,
    eval_set: str = "",
    cases_sha256: str = "",
    expected_label: Callable[[Case], str] | None = None,
    parts: Mapping[str, Part] = NO_PARTS,
) -> SampleTable:
    """
    Put samples, in any order, in their places in the plan.

    Samples of unplanned cases and attempts are ignored, and so are those of other eval sets if `eval_set` is
    given. The other arguments are those of `SampleTable`.

    Raises:
        ValueError: Two different samples claim one place, so that their order would decide.
    """
    rows = _rows(cases, samples, repeats, eval_set)
    return SampleTable(rows, repeats, eval_set, cases_sha256, expected_label, parts)


def summarize(
    samples: Iterable[Sample],
    cases: Sequence[Case],
    *,
    eval_set: str = "",
    repeats: int = 1,
    needed: int | None = None,
    expected_label: Callable[[Case], str] | None = None,
) -> Summary:
    """
    The figures of one eval set over its whole plan, cases x repeats; see `lay_out`.

    Args:
        samples: In any order; what is missing from the plan counts as unrun.
        cases: The planned cases.
        eval_set: Name of the set, where the samples may hold those of other sets too.
        repeats: Planned attempts per case.
        needed: A case passes when at least so many attempts pass; without it, its share of passes counts.
        expected_label: The label a case expects, after normalizing; None where answers are not labels.

    Raises:
        ValueError: Two different samples claim one place in the plan.
    """
    return Summary(_rows(cases, samples, repeats, eval_set), needed, expected_label)


def _rows(cases: Sequence[Case], samples: Iterable[Sample], repeats: int, eval_set: str) -> tuple[CaseSamples, ...]:
    found: dict[tuple[str, int], Sample] = {}
    for sample in samples:
        if eval_set and sample.eval_set != eval_set:
            continue
        place = sample.case_id, sample.attempt
        if place in found and found[place] != sample:
            raise ValueError(f"two samples for attempt {sample.attempt} of case {sample.case_id!r}")
        found[place] = sample
    return tuple(
        CaseSamples(case, tuple(found.get((case.id, attempt)) for attempt in range(repeats))) for case in cases
    )
