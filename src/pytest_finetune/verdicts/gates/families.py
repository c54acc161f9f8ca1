"""Gates against a baseline that share one level, so that the risk of any wrong verdict among them stays the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.bars import limit_of
from pytest_finetune.verdicts.gates.baselines import drop_of
from pytest_finetune.verdicts.gates.verdict import Status, Verdict
from pytest_finetune.verdicts.gates.wording import family_text, untested_text
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.stats.step_down import holm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.verdicts.gates.inputs import GateInputs

    Judge = Callable[[GateInputs], Verdict]


def judge_in_families(gates: Sequence[GateInputs], judge: Judge) -> list[Verdict]:
    """
    One verdict per gate, in their order; those of a family are judged together.

    Args:
        gates: All gates of a set.
        judge: The verdict on one gate on its own.
    """
    families: dict[tuple[str, str], list[int]] = {}
    verdicts: dict[int, Verdict] = {}
    for at, gate in enumerate(gates):
        if gate.rule.family:
            families.setdefault((gate.rule.family, gate.rule.scorer), []).append(at)
        else:
            verdicts[at] = judge(gate)
    for (family, _), members in families.items():
        together = _judge_hierarchy if family == "hierarchy" else _judge_by_holm
        verdicts |= dict(zip(members, together([gates[at] for at in members], judge), strict=True))
    return [verdicts[at] for at in range(len(gates))]


def _judge_by_holm(gates: Sequence[GateInputs], judge: Judge) -> list[Verdict]:
    """
    Passes and fails, each by Holm's step-down: the risk of any wrong pass, and of any wrong fail, is that of one gate.

    A gate without complete evidence has a p-value of 1, and counts as a gate of the family.
    """
    alone = [judge(gate) for gate in gates]
    # Few groups are worth the less the stricter the level is; the strictest one is on the safe side.
    drops = [
        None if verdict.status is Status.INCOMPLETE else drop_of(_at_share(gate, len(gates)))
        for gate, verdict in zip(gates, alone, strict=True)
    ]
    bars = [limit_of(gate.rule) for gate in gates]
    risk = max(_risk(gate) for gate in gates)
    below, above = (
        [1.0 if drop is None else drop.p_value(bar, larger=larger) for drop, bar in zip(drops, bars, strict=True)]
        for larger in (False, True)
    )
    passes, fails = holm(below, risk), holm(above, risk)
    found = []
    for at, gate in enumerate(gates):
        if drops[at] is None:
            found.append(alone[at])
            continue
        status = Status.PASS if passes[at].rejected else Status.FAIL if fails[at].rejected else Status.INCONCLUSIVE
        step, p_value = (fails[at], above[at]) if status is Status.FAIL else (passes[at], below[at])
        shared = judge(_at_share(gate, step.divisor))
        # The two agree but for the last bits of a value exactly at a level, where nothing is decided.
        status = status if shared.status is status else Status.INCONCLUSIVE
        text = shared.message + family_text(p_value, _risk(gate), step.divisor, len(gates))
        found.append(replace(shared, rule=gate.rule, status=status, message=text))
    return found


def _judge_hierarchy(gates: Sequence[GateInputs], judge: Judge) -> list[Verdict]:
    """
    The gates over the whole set first; those over slices are tested, by Holm's step-down, only if all of these pass.

    Source: Westfall and Krishen (2001), Journal of Statistical Planning and Inference 99, 25-40: serial gatekeeping.
    """
    first = {at: judge(gate) for at, gate in enumerate(gates) if not gate.rule.where}
    slices = [at for at in range(len(gates)) if at not in first]
    members = [gates[at] for at in slices]
    open_ones = [verdict.gate for verdict in first.values() if verdict.status is not Status.PASS]
    if first and not open_ones:
        rest = _judge_by_holm(members, judge)
    else:
        rest = [_described(judge(gate), open_ones) for gate in members]
    verdicts = first | dict(zip(slices, rest, strict=True))
    return [verdicts[at] for at in range(len(gates))]


def _described(verdict: Verdict, open_ones: Sequence[str]) -> Verdict:
    """A verdict that is not one: its figures are shown, and nothing is decided by them."""
    if verdict.status is Status.INCOMPLETE:
        return verdict
    return replace(verdict, status=Status.INCONCLUSIVE, message=untested_text(open_ones) + verdict.message)


def _at_share(gate: GateInputs, divisor: int) -> GateInputs:
    """The gate with a part of its level."""
    return replace(gate, rule=replace(gate.rule, confidence=1 - 2 * _risk(gate) / divisor))


def _risk(gate: GateInputs) -> float:
    return float((1 - as_written(gate.rule.confidence or 0.0)) / 2)
