"""The first thing a reader looks for: does this model ship?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.verdicts.metrics import Summary


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The result of one model.

    Args:
        gates: Statuses of its gates.
        ungated: Figures of the eval sets without gates, whose cases all have to pass.
        rules: Statuses of that implied rule, one per such set.
        early: Some samples were not requested because the verdicts were already decided.
    """

    gates: tuple[str, ...]
    ungated: tuple[Summary, ...] = ()
    rules: tuple[str, ...] = ()
    early: bool = False

    @property
    def status(self) -> Status:
        """The worst verdict: a fail, else an open one; a pass only if there is at least one."""
        found = {*self.gates, *self.rules}
        worst = (Status.FAIL, Status.INCOMPLETE, Status.INCONCLUSIVE)
        return next((status for status in worst if status in found), Status.PASS if found else Status.INCOMPLETE)

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
            yield f"{sum(row.passes() for row in rows):,} of {len(rows):,} cases passed (all must pass)"
        if self.early:
            yield "decided early, so it is no evidence for a promotion"


class JudgedSet(NamedTuple):
    """One eval set: whether it has gates, the statuses of its verdicts, and its figures."""

    gated: bool
    statuses: tuple[str, ...]
    summary: Summary


def outcome_of_sets(sets: Sequence[JudgedSet], *, early: bool) -> Outcome:
    """The result of one model over all its eval sets; `early` if some samples were not needed for a verdict."""
    free = [one for one in sets if not one.gated]
    return Outcome(
        tuple(status for one in sets if one.gated for status in one.statuses),
        tuple(one.summary for one in free),
        tuple(status for one in free for status in one.statuses),
        early,
    )
