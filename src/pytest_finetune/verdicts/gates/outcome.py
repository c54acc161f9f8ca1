"""The one sentence that a reader looks for first: does this model ship?"""

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
    What came of one model.

    Args:
        gates: Statuses of its gates.
        ungated: Figures of the sets without gates, whose cases all have to pass.
        rules: Statuses of that rule.
        early: Some answers were left unasked because the verdicts were bound without them.
    """

    gates: tuple[str, ...]
    ungated: tuple[Summary, ...] = ()
    rules: tuple[str, ...] = ()
    early: bool = False

    @property
    def status(self) -> Status:
        """The worst verdict: a fail, else what is open; a pass only where there is one."""
        found = {*self.gates, *self.rules}
        worst = (Status.FAIL, Status.INCOMPLETE, Status.INCONCLUSIVE)
        return next((status for status in worst if status in found), Status.PASS if found else Status.INCOMPLETE)

    @property
    def words(self) -> str:
        """`ships`, `does not ship`, or, where nothing failed and something is open, `does not ship yet`."""
        return {Status.PASS: "ships", Status.FAIL: "does not ship"}.get(self.status, "does not ship yet")

    @property
    def reasons(self) -> str:
        """Gates by verdict, and, of sets without gates, the cases: `3 of 5 gates pass, 1 fails, 1 incomplete`."""
        return "; ".join(self._reasons()) or "nothing was judged"

    def _reasons(self) -> Iterator[str]:
        if self.gates:
            counts = Counter(self.gates)
            others = {
                "fails" if counts[Status.FAIL] == 1 else "fail": counts[Status.FAIL],
                "inconclusive": counts[Status.INCONCLUSIVE],
                "incomplete": counts[Status.INCOMPLETE],
            }
            rest = "".join(f", {count:,} {word}" for word, count in others.items() if count)
            yield f"{counts[Status.PASS]:,} of {len(self.gates):,} gates pass{rest}"
        if rows := [row for summary in self.ungated for row in summary.rows]:
            yield f"{sum(row.passes() for row in rows):,} of {len(rows):,} cases pass, and all must"
        if self.early:
            yield "decided early, so no evidence for a promotion"


class JudgedSet(NamedTuple):
    """What came of one set: whether it has gates, the statuses of its verdicts, and its figures."""

    gated: bool
    statuses: tuple[str, ...]
    summary: Summary


def outcome_of_sets(sets: Sequence[JudgedSet], *, early: bool) -> Outcome:
    """What came of one model over all its sets; `early` where some answers were not needed for a verdict."""
    free = [one for one in sets if not one.gated]
    return Outcome(
        tuple(status for one in sets if one.gated for status in one.statuses),
        tuple(one.summary for one in free),
        tuple(status for one in free for status in one.statuses),
        early,
    )
