"""One eval set over all recorded runs: the outcome of each case, flaky cases, and cases that were lost."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State

if TYPE_CHECKING:
    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan, Manifest, VerdictRecord
    from pytest_finetune.verdicts.rule import Rule

_KNOWN = (State.PASSED, State.MISSED)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """
    How one case went in one run.

    Args:
        state: `passed` if every attempt passed; `missed` if each has an answer and one is wrong; else what the worst
            attempt was.
        passed, attempts: Attempts that passed, and that were planned.
        prompt: Hash of the prompt: with another prompt it is another question.
        sample: The first attempt that did not pass, else the first; None if none was requested.
    """

    state: State
    passed: int
    attempts: int
    prompt: str
    sample: Sample | None

    @property
    def is_mixed(self) -> bool:
        """Attempts of the same run were both right and wrong."""
        return self.state is State.MISSED and self.passed > 0


@dataclass(frozen=True)
class HistoryPoint:
    """
    The eval set in one run.

    Args:
        manifest: The run's manifest.
        plan: The eval set's part of it.
        outcomes: By case id, the cases that were requested.
        doubt: Why the record is no evidence, in one clause; empty if nothing speaks against it.
    """

    manifest: Manifest
    plan: EvalSetPlan
    outcomes: dict[str, CaseOutcome]
    doubt: str = ""

    @cached_property
    def counts(self) -> dict[State, int]:
        """Cases by outcome; cases that were not requested are `unrun`."""
        counts = dict.fromkeys(State, 0)
        for outcome in self.outcomes.values():
            counts[outcome.state] += 1
        counts[State.UNRUN] += max(0, self.plan.cases - len(self.outcomes))
        return counts

    @property
    def asked(self) -> int:
        """Cases that were requested, errors included."""
        return self.plan.cases - self.counts[State.UNRUN] - self.counts[State.UNNEEDED]

    @property
    def verdicts(self) -> list[VerdictRecord]:
        """The verdicts of the eval set's gates when the run ended."""
        return [verdict for verdict in self.manifest.verdicts if verdict.eval_set == self.plan.name]

    @property
    def accuracy_verdict(self) -> VerdictRecord | None:
        """The verdict on the accuracy over all cases; None without such a gate."""
        return next((one for one in self.verdicts if one.rule and _is_plain_accuracy(one.rule)), None)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must be equal for two runs to be repetitions: the model, where it is, and all that decides a score."""
        target, plan = self.manifest.target, self.plan
        request = json.dumps(plan.request, sort_keys=True)
        where = target.model, target.base_url, target.identity
        return (*where, plan.cases_sha256, plan.settings_sha256, plan.schema_sha256, str(plan.repeats), request)


@dataclass(frozen=True, slots=True)
class FlakyCase:
    """
    A case with other outcomes in repetitions: runs of the same model over the same cases with the same settings.

    Args:
        case: Its id.
        model: The model's name in reports.
        passed, runs: Repetitions in which every attempt passed, and those that have an answer to every attempt.
        mixed: Repetitions whose own attempts disagree.
    """

    case: str
    model: str
    passed: int
    runs: int
    mixed: int = 0


@dataclass(frozen=True, slots=True)
class LostCase:
    """
    A case that passed, and has not since.

    Args:
        case: Its id.
        last_passed: The last run in which it passed.
        lost: The first run after it that answered it wrong.
        set_changed: The eval set's cases or settings changed between the two.
    """

    case: str
    last_passed: HistoryPoint
    lost: HistoryPoint
    set_changed: bool


@dataclass(frozen=True)
class SetHistory:
    """
    One eval set over its runs.

    Args:
        eval_set: Its name.
        points: Its runs, oldest first.
        unreadable: Ids of runs whose record cannot be read, each with the reason.
    """

    eval_set: str
    points: tuple[HistoryPoint, ...]
    unreadable: dict[str, str]

    @property
    def flaky(self) -> list[FlakyCase]:
        """Flaky cases, those first that pass nearest to half the time."""
        found: list[FlakyCase] = []
        for points in self._repetitions():
            model = points[-1].manifest.target.title
            for case in sorted({case for point in points for case in point.outcomes}):
                seen = [point.outcomes[case] for point in points if case in point.outcomes]
                known = [outcome for outcome in seen if outcome.state in _KNOWN]
                passed, mixed = (
                    sum(outcome.state is State.PASSED for outcome in known),
                    sum(outcome.is_mixed for outcome in known),
                )
                if mixed or 0 < passed < len(known):
                    found.append(FlakyCase(case, model, passed, len(known), mixed))
        return sorted(found, key=lambda one: (abs(one.passed / one.runs - 0.5), -one.runs, one.case))

    @property
    def lost(self) -> list[LostCase]:
        """Cases that passed once and were wrong ever since, the latest loss first."""
        passed: dict[tuple[str, str], HistoryPoint] = {}
        lost: dict[tuple[str, str], HistoryPoint] = {}
        for point in self.points:
            for case, outcome in point.outcomes.items():
                key = case, outcome.prompt
                if outcome.state is State.PASSED:
                    passed[key] = point
                    lost.pop(key, None)
                elif outcome.state is State.MISSED and key in passed:
                    lost.setdefault(key, point)
        found = [LostCase(key[0], passed[key], point, _changed(passed[key], point)) for key, point in lost.items()]
        return sorted(found, key=lambda one: (-one.lost.manifest.created_at.timestamp(), one.case))

    def of_case(self, case: str) -> list[tuple[HistoryPoint, CaseOutcome]]:
        """One case in every run that requested it, oldest first."""
        return [(point, point.outcomes[case]) for point in self.points if case in point.outcomes]

    def _repetitions(self) -> list[list[HistoryPoint]]:
        alike: dict[tuple[str, ...], list[HistoryPoint]] = defaultdict(list)
        for point in self.points:
            alike[point.conditions].append(point)
        return list(alike.values())


def _is_plain_accuracy(rule: Rule) -> bool:
    return (rule.kind, rule.metric, rule.where, rule.per_case, rule.scorer) == ("min", "accuracy", {}, "", "")


def _changed(before: HistoryPoint, after: HistoryPoint) -> bool:
    def asked(plan: EvalSetPlan) -> tuple[str, str, str]:
        return plan.cases_sha256, plan.settings_sha256, plan.schema_sha256

    return asked(before.plan) != asked(after.plan)
