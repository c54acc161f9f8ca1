"""The result of a self-test as text of at most 80 columns, and as JSON."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import printable
from pytest_finetune.verdicts.gates.wording import certainty_text
from pytest_finetune.verdicts.selftest.damage import DamageKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.verdicts.selftest.checking import GateCheck, SetCheck
    from pytest_finetune.verdicts.selftest.trial import Trip

WIDTH = 80
NEVER, NOT_NOTICED = "never", "not noticed"


def report_lines(checks: Sequence[SetCheck]) -> Iterator[str]:
    """The report as text: for each gate the number of damaged cases at which it stops passing, by kind."""
    yield "damaged cases at which each gate stops passing, by the kind of damage"
    for check in checks:
        yield ""
        yield from map(printable, _set_lines(check))
    yield ""
    gates = [gate for check in checks for gate in check.gates]
    tested, found = sum(gate.perfect is not None for gate in gates), sum(map(_findings, checks))
    yield f"{_counted(tested, 'gate')} tested, {len(gates) - tested:,} not testable here, {_counted(found, 'finding')}"
    untestable = sum(bool(check.untestable) for check in checks)
    if untestable:
        yield f"{_counted(untestable, 'eval set')} cannot be self-tested"


def report_values(checks: Sequence[SetCheck]) -> dict[str, Any]:
    """The report as JSON; shares are of the gate's cases, in (0, 1]."""
    return {"eval_sets": [_set_values(check) for check in checks], "findings": sum(map(_findings, checks))}


def _findings(check: SetCheck) -> int:
    return len(check.findings) + check.protects_nothing


def _set_lines(check: SetCheck) -> Iterator[str]:
    eval_set = check.eval_set
    repeats = f" x {eval_set.repeats}" if eval_set.repeats > 1 else ""
    yield f"{eval_set.name}: {_counted(len(eval_set.cases), 'case')}{repeats}, scorer {eval_set.scorer.name}"
    if check.untestable:
        yield from _fold("cannot be self-tested: ", check.untestable)
        return
    if not eval_set.settings.gates:
        yield "  no gates: every miss is a failure"
    unnoticed = [f"{each.kind} in {len(each.unnoticed):,}" for each in check.damage if each.unnoticed]
    if unnoticed:
        yield from _fold("not noticed by the scorer: ", f"{', '.join(unnoticed)} of {len(eval_set.cases):,} cases")
    for gate in check.gates:
        yield from _gate_lines(gate)
    if check.tested:
        head = "FINDING: " if check.protects_nothing else ""
        gaps = ", ".join(map(str, check.gaps))
        yield from _fold(head, f"no gate catches {gaps}" if gaps else "every kind of damage is caught by some gate")


def _gate_lines(check: GateCheck) -> Iterator[str]:
    confidence = f", confidence {check.gate.confidence:g}" if check.gate.confidence else ""
    sequential = f", sequential {check.gate.sequential}" if check.gate.sequential else ""
    yield f"  {check.gate.label}{confidence}{sequential}"
    if text := certainty_text(check.gate, check.counted):
        yield from _fold("    ", text)
    if check.needs:
        yield f"      not testable here: needs {check.needs}"
        return
    outcomes: dict[str, list[DamageKind]] = {}
    # Errors come last: they make every verdict incomplete, which says little about the gate.
    for trip in sorted(check.trips, key=lambda trip: (trip.kind is DamageKind.ERROR, trip.damaged or check.n + 1)):
        if text := _outcome(trip, check.n):
            outcomes.setdefault(text, []).append(trip.kind)
    wide = max(map(len, outcomes), default=0)
    for text, kinds in outcomes.items():
        yield from _fold(f"    {text:<{wide}}  ", ", ".join(kinds))
    if check.finding:
        yield from _fold("    FINDING: ", check.finding)


def _outcome(trip: Trip, n: int) -> str:
    if trip.damaged is not None:
        total = f"{n:,}"
        return f"{trip.damaged:>{len(total)},} of {total} ({_percent(trip.damaged, n)} %)"
    if trip.noticed:
        return NEVER if trip.noticed == n else f"{NEVER} (only {trip.noticed:,} of {n:,} can be damaged)"
    return NOT_NOTICED if trip.unnoticed else ""


def _percent(part: int, n: int) -> str:
    share = part / n * 100
    # A small share is not shown as 0.0.
    return f"{share:.1f}" if round(share, 1) else f"{share:.1g}"


def _fold(head: str, text: str) -> list[str]:
    """Wrap text after a head; further lines are indented to the same column."""
    head = f"  {head}"
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _set_values(check: SetCheck) -> dict[str, Any]:
    return {
        "eval_set": check.eval_set.name,
        "cases": len(check.eval_set.cases),
        "repeats": check.eval_set.repeats,
        "scorer": check.eval_set.scorer.name,
        "untestable": check.untestable,
        "damage": [
            {"kind": each.kind, "noticed": len(each.samples), "unnoticed": len(each.unnoticed)} for each in check.damage
        ],
        "gaps": [{"kind": gap.kind, "cases": gap.cases} for gap in check.gaps] if check.tested else [],
        "gates": [_gate_values(gate) for gate in check.gates],
    }


def _gate_values(check: GateCheck) -> dict[str, Any]:
    return {
        "gate": check.gate.label,
        "confidence": check.gate.confidence,
        "sequential": check.gate.sequential,
        "certainty": certainty_text(check.gate, check.counted),
        "cases": check.n,
        "needs": check.needs,
        "perfect": check.perfect.status if check.perfect else None,
        "trips": [
            {
                "kind": trip.kind,
                "noticed": trip.noticed,
                "unnoticed": trip.unnoticed,
                "damaged": trip.damaged,
                "share": trip.damaged and trip.damaged / check.n,
                "status": trip.status,
            }
            for trip in (() if check.needs else check.trips)
        ],
        "finding": check.finding,
    }
