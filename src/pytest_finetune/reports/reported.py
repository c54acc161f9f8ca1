"""The results of a model as facts, which all reports read, of a live session and of a record alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.verdicts.checks import reports_metric
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.certainty import value_alone_decides
from pytest_finetune.verdicts.gates.outcome import outcome_of
from pytest_finetune.verdicts.gates.wording import error_text
from pytest_finetune.verdicts.scoring import scorer_class

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from pytest_finetune.base.records import Failure
    from pytest_finetune.evaluation.runs import VerdictRecord
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.gates.outcome import Outcome
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.rule import Rule


UNCERTAIN_TEXT = "the value alone decides: its interval crosses the bar"
"""Said of a gate whose verdict is uncertain."""


@dataclass(frozen=True, slots=True)
class Gate:
    """
    One gate and its verdict.

    Args:
        verdict: As in the record: name, status, value, interval, message.
        rule: The rule of the gate; None if neither the record nor the settings have it.
    """

    verdict: VerdictRecord
    rule: Rule | None = None

    @property
    def status(self) -> Status:
        """The verdict in one word."""
        return Status(self.verdict.status)

    @property
    def metric(self) -> str:
        """What the value is: a metric, `drop` or `flips`; empty if the rule is not known."""
        names = {"max_drop": "drop", "max_flips": "flips"}
        return names.get(self.rule.kind, self.rule.metric) if self.rule else ""

    @property
    def bar(self) -> float | None:
        """The limit on the value; None for `must_pass`, or if the rule is not known."""
        return self.rule.bar if self.rule else None

    @property
    def is_uncertain(self) -> bool:
        """The value alone decided, and its interval crosses the bar."""
        return value_alone_decides(self.rule, self.verdict.status, self.verdict.low, self.verdict.high)

    @property
    def is_corrected(self) -> bool:
        """The value is corrected, for the errors of a judge or for stopping early, which the message explains."""
        return self.verdict.corrected or self.verdict.stopping is not None

    @property
    def margin(self) -> float | None:
        """Distance of the value from the bar, in the metric's unit; negative on the failing side."""
        if self.verdict.value is None or self.bar is None:
            return None
        return (self.verdict.value - self.bar) * (1 if self.rule and self.rule.upward else -1)


@dataclass(frozen=True, slots=True)
class ReportedSet:
    """
    One eval set of one run.

    Args:
        name: Name of the set.
        summary: Figures over the whole plan.
        gates: Gates with their verdicts; empty if the run was not judged.
        repeats: Attempts per case.
        settings: None if they are gone or have changed.
        missing_prompts: Why prompts and expected answers cannot be shown; empty if they can.
        baseline: Name of what the set was compared with; empty if there was no baseline.
        comparison: Comparison with the baseline; None if there is none or it is impossible.
        notes: Notes for the reader, for example why there is no comparison.
        unneeded: Planned samples that were not requested because the verdicts were decided without them.
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
    unneeded: int = 0

    @property
    def gated(self) -> bool:
        """Whether the set has gates; without any, every case must pass."""
        return self.settings is None or bool(self.settings.gates)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The verdicts of its gates, or of the rule that is implied if it has none."""
        return tuple(gate.status for gate in self.gates)

    @property
    def promises(self) -> tuple[str, ...]:
        """How often its gates with a confidence pass a model that they should not, in a sentence for each level."""
        rules = [gate.rule for gate in self.gates if gate.rule and gate.rule.confidence is not None]
        return tuple(dict.fromkeys(f"confidence {rule.confidence:g}: {error_text(rule)}" for rule in rules))

    @property
    def rules(self) -> tuple[tuple[Rule | None, int], ...]:
        """The rule of each gate, with the number of cases that it covers."""
        return tuple((gate.rule, gate.verdict.planned) for gate in self.gates)

    @property
    def form_decides(self) -> bool:
        """Whether any answer of the required form passes."""
        return self.settings is not None and scorer_class(self.settings.scorer).form_decides

    @property
    def unrun(self) -> int:
        """Planned samples that are missing and needed."""
        return self.summary.counts[State.UNRUN] - self.unneeded

    @property
    def asked(self) -> int:
        """Planned samples that were requested, or are still to be."""
        return self.summary.planned - self.unneeded

    @property
    def stopped_by_looks(self) -> bool:
        """Its sequential gates were decided before all its cases were asked."""
        return self.unneeded > 0 and any(gate.verdict.stopping for gate in self.gates)

    def reports(self, metric: str) -> bool:
        """Whether reports show a metric for this set."""
        return self.settings is not None and reports_metric(self.settings, metric)


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """
    One model over its eval sets.

    Args:
        model: The name of the model in reports: its spec, or `v1.2 (ft:…)` of a version in the registry.
        sets: One for each eval set.
        id: Id of the run; empty if there is no record.
        spec: The target's spec, which names of tests have; empty if it is the model.
        facts: Other facts by name, as text: server, start, versions.
        closed: Whether no sample is missing any more.
        cost: US dollars; None if unknown.
        judged: Whether it is a model under test, not a baseline.
        notes: Notes that a reader should see first.
        stopped: Why the evaluation stopped early; None if it did not.
        unneeded: Samples that were not requested because the verdicts were decided without them.
        limited: Only a sample of the cases was requested, as a first look.
        warnings: Probable mistakes in its eval sets, what the target warned of, and other models that answered.
    """

    model: str
    sets: tuple[ReportedSet, ...]
    id: str = ""
    spec: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    closed: bool = False
    cost: Decimal | None = None
    judged: bool = True
    notes: tuple[str, ...] = ()
    stopped: Failure | None = None
    unneeded: int = 0
    limited: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Whether the model ships, and why not."""
        return outcome_of(self.sets, early=self.unneeded_by_counting > 0)

    @property
    def unneeded_by_counting(self) -> int:
        """Samples that were not requested because of `--stop-when-decided`."""
        return self.unneeded - sum(part.unneeded for part in self.sets if part.stopped_by_looks)

    @property
    def planned(self) -> int:
        """Planned samples of all sets."""
        return sum(part.summary.planned for part in self.sets)

    @property
    def missing(self) -> int:
        """Samples that a resumed run would request: those in error, and those that were never requested but needed."""
        ended = sum(part.summary.counts[State.UNRUN] + part.summary.counts[State.ERROR] for part in self.sets)
        return ended - self.unneeded

    def notices(self, *, redact: bool) -> list[str]:
        """The notes, the warnings about its gates and its eval sets, and why the evaluation stopped early."""
        warned = (f"Warning: {text}" for text in self.warnings)
        stopped = [f"Stopped early: {failure_words(self.stopped, redact=redact)}"] if self.stopped else []
        return [*self.notes, *(self.outcome.warnings if self.judged else ()), *warned, *stopped]
