"""The first thing a reader looks for: does this model ship?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.quality import guards_quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.rule import Rule


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The result of one model.

    Args:
        gates: Statuses of its gates.
        ungated: Figures of the eval sets without gates, whose cases all have to pass.
        rules: Statuses of that implied rule, one per such set.
        early: Some samples were not requested because the verdicts were already decided.
        unguarded: Names of the eval sets whose gates do not guard their quality.
    """

    gates: tuple[str, ...]
    ungated: tuple[Summary, ...] = ()
    rules: tuple[str, ...] = ()
    early: bool = False
    unguarded: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The worst verdict: a fail, else an open one; a pass only if there is at least one."""
        found = {*self.gates, *self.rules}
        worst = (Status.FAIL, Status.INCOMPLETE, Status.INCONCLUSIVE)
        return next((status for status in worst if status in found), Status.PASS if found else Status.INCOMPLETE)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each set whose quality nothing guards."""
        return tuple(f"No gate guards the quality of {name} over all its cases." for name in self.unguarded)

    @property
    def words(self) -> str:
        """`ships`, `does not ship`, or, where nothing failed and something is open, `does not ship yet`."""
        return {Status.PASS: "ships", Status.FAIL: "does not ship"}.get(self.status, "does not ship yet")

    @property
    def reasons(self) -> str:
        """Counts of gates by verdict, and of cases for sets without gates: `3 of 5 gates passed, 1 failed`."""
        return "; ".join(self._reasons()) or "nothing was judged"

    def _reasons(self) -> Iterator[str]:
        if self.gates:
            counts = Counter(self.gates)
            others = {
                "failed": counts[Status.FAIL],
                "inconclusive": counts[Status.INCONCLUSIVE],
                "incomplete": counts[Status.INCOMPLETE],
            }
            rest = "".join(f", {count:,} {word}" for word, count in others.items() if count)
            yield f"{counts[Status.PASS]:,} of {len(self.gates):,} gates passed{rest}"
        if rows := [row for summary in self.ungated for row in summary.rows]:
            unrun = sum(row.count(State.UNRUN) > 0 for row in rows)
            rest = f", {unrun:,} not run" if unrun else ""
            yield f"{sum(row.passes() for row in rows):,} of {len(rows):,} cases passed{rest} (all must pass)"
        if self.early:
            yield "decided early, so it is no evidence for a promotion"
        if self.unguarded:
            count = len(self.unguarded)
            yield f"{count:,} eval set{'s' if count > 1 else ''} without a gate on quality"


class JudgedSet(Protocol):
    """
    The facts of an eval set that an outcome needs.

    Attributes:
        name: Name of the eval set.
        gated: Whether it has gates; otherwise all its cases must pass.
        statuses: Statuses of its verdicts.
        rules: The rule of each gate, with the number of cases that it covers; None if that is unknown.
        form_decides: Whether its scorer passes any answer of the required form.
        summary: Its figures.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def gated(self) -> bool: ...  # noqa: D102
    @property
    def statuses(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def rules(self) -> tuple[tuple[Rule | None, int], ...]: ...  # noqa: D102
    @property
    def form_decides(self) -> bool: ...  # noqa: D102
    @property
    def summary(self) -> Summary: ...  # noqa: D102


def outcome_of(sets: Sequence[JudgedSet], *, early: bool = False) -> Outcome:
    """The result of one model over all its eval sets; `early` if some samples were not needed for a verdict."""
    free = [one for one in sets if not one.gated]
    return Outcome(
        tuple(status for one in sets if one.gated for status in one.statuses),
        tuple(one.summary for one in free),
        tuple(status for one in free for status in one.statuses),
        early,
        tuple(one.name for one in sets if one.gated and one.rules and not _guarded(one)),
    )


def _guarded(one: JudgedSet) -> bool:
    """Some gate guards the quality of the set; a gate whose rule is not known may do so."""
    planned = len(one.summary.rows)
    return any(
        rule is None or guards_quality(rule, covered, planned, form_decides=one.form_decides)
        for rule, covered in one.rules
    )
