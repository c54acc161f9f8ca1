"""What a run page is made of, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.reports.redaction import stop_words
from pytest_finetune.verdicts.gates.outcome import JudgedSet, outcome_of_sets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from pytest_finetune.evaluation.runs import VerdictRecord
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.gates.outcome import Outcome
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.rule import Rule


@dataclass(frozen=True, slots=True)
class Gate:
    """
    One gate and its verdict.

    Args:
        verdict: As it is in the record: name, status, value, interval, message.
        rule: What the gate demands; None where neither the record nor the settings say so.
    """

    verdict: VerdictRecord
    rule: Rule | None = None

    @property
    def metric(self) -> str:
        """What the value is: a metric, `drop` or `flips`; empty where the rule is not known."""
        names = {"max_drop": "drop", "max_flips": "flips"}
        return names.get(self.rule.kind, self.rule.metric) if self.rule else ""

    @property
    def bar(self) -> float | None:
        """The limit on the value; None for `must_pass`, or where the rule is not known."""
        return self.rule.bar if self.rule else None

    @property
    def margin(self) -> float | None:
        """How far the value lies on the good side of the bar; below 0 on the bad one."""
        if self.verdict.value is None or self.bar is None:
            return None
        return (self.verdict.value - self.bar) * (1 if self.rule and self.rule.upward else -1)


@dataclass(frozen=True, slots=True)
class ReportedSet:
    """
    One eval set of one run.

    Args:
        name: Of the set.
        summary: Figures over the whole plan.
        gates: With their verdicts; none where the run was not judged.
        repeats: Attempts a case.
        settings: None where they are gone or have changed.
        missing_prompts: Why prompts and expected answers cannot be shown; empty where they can.
        baseline: What it was compared with; empty where with nothing.
        comparison: With the baseline, where the two could be compared.
        notes: What a reader should know besides.
    """

    name: str
    summary: Summary
    gates: tuple[Gate, ...]
    repeats: int
    settings: EvalSettings | None = None
    missing_prompts: str = ""
    baseline: str = ""
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()

    @property
    def scorer(self) -> str:
        """The scorer's name; empty where the settings are gone."""
        return self.settings.scorer if self.settings else ""

    @property
    def ungated(self) -> bool:
        """Without gates of its own every case must pass."""
        return self.settings is not None and not self.settings.gates


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """
    One model over its eval sets.

    Args:
        model: The target's spec.
        sets: What came of each eval set.
        facts: Name and value of what else is known: server, run id, when, versions.
        closed: Nothing is missing any more.
        cost: US dollars, None where unknown.
        judged: It is a model under test, and not the baseline of one.
        notes: What a reader should know before anything else.
        stopped: Why asking stopped before its end; empty where it did not.
        early: Some answers were left unasked because the verdicts were bound without them.
    """

    model: str
    sets: tuple[ReportedSet, ...]
    facts: Mapping[str, str]
    closed: bool
    cost: Decimal | None = None
    judged: bool = True
    notes: tuple[str, ...] = ()
    stopped: str = ""
    early: bool = False

    @property
    def outcome(self) -> Outcome:
        """Whether it ships, and why not."""
        judged = [
            JudgedSet(
                part.name,
                not part.ungated,
                tuple(gate.verdict.status for gate in part.gates),
                tuple((gate.rule, gate.verdict.planned) for gate in part.gates),
                part.summary,
            )
            for part in self.sets
        ]
        return outcome_of_sets(judged, early=self.early)

    def told(self, *, redact: bool) -> list[str]:
        """The notes, and why asking stopped."""
        stopped = [f"Asking stopped early: {stop_words(self.stopped, redact=redact)}"] if self.stopped else []
        return [*self.notes, *(self.outcome.warnings if self.judged else ()), *stopped]
