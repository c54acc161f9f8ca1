"""Run records made up for tests, written by the real store: one letter a sample, `p`, `m`, `e`, or `.` for none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Completion, Failure, Sample, Score, State
from pytest_finetune.evaluation.runs import EvalSetPlan, RunStore, TargetInfo, Totals, VerdictRecord, sample_to_dict
from pytest_finetune.evaluation.runs.manifest import Versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path

    import pytest

    from pytest_finetune.evaluation.runs import Run

TICKETS = "eval_sets/tickets.jsonl"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plan(
    name: str = TICKETS,
    cases: int = 3,
    repeats: int = 1,
    *,
    cases_sha256: str = "c" * 64,
    settings_sha256: str = "5" * 64,
    schema_sha256: str = "",
) -> EvalSetPlan:
    return EvalSetPlan(
        name=name,
        cases=cases,
        repeats=repeats,
        cases_sha256=cases_sha256,
        settings_sha256=settings_sha256,
        schema_sha256=schema_sha256,
    )


def sample(
    case_id: str,
    letter: str,
    attempt: int = 0,
    *,
    eval_set: str = TICKETS,
    text: str = "",
    prompt: str = "",
    model: str = "",
) -> Sample:
    key = eval_set, case_id, attempt
    prompt = prompt or f"asked {case_id}"
    if letter == "e":
        failure = Failure("timeout", "no answer within 120 s")
        return Sample(*key, State.ERROR, failure=failure, prompt_sha256=prompt)
    state = State.PASSED if letter == "p" else State.MISSED
    answer = text or ("bug" if letter == "p" else "question")
    return Sample(*key, state, Completion(answer, model=model), Score(letter == "p"), prompt_sha256=prompt)


def samples(
    letters: Sequence[str], *, prefix: str = "case-", models: Sequence[str] = ("",), **facts: Any
) -> list[Sample]:
    """Samples of the cases in order, the models in turn; a word of letters per case if there are several attempts."""
    return [
        sample(f"{prefix}{number:02}", letter, attempt, model=models[number % len(models)], **facts)
        for number, word in enumerate(letters)
        for attempt, letter in enumerate(word)
        if letter != "."
    ]


class Recorder:
    """Writes runs with fixed ids, times and versions."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.store, self.made = folder, RunStore(folder / ".finetune" / "runs"), 0
        versions = Versions(pytest_finetune="0.1.0", python="3.11.7", git_commit="0123456789abcdef", git_dirty=True)
        monkeypatch.setattr("pytest_finetune.evaluation.runs.store.datetime", SimpleNamespace(now=self._now))
        monkeypatch.setattr(
            "pytest_finetune.evaluation.runs.store.secrets", SimpleNamespace(token_hex=lambda _: "0abc")
        )
        monkeypatch.setattr("pytest_finetune.evaluation.runs.store.current_versions", lambda _: versions)

    def _now(self, zone: tzinfo) -> datetime:
        self.made += 1
        return (START + timedelta(hours=self.made)).astimezone(zone)

    def __call__(
        self,
        letters: Sequence[str],
        *,
        spec: str = "ft:a",
        plans: Sequence[EvalSetPlan] = (),
        closed: bool = True,
        verdicts: Sequence[tuple[str, str] | VerdictRecord] = (),
        more: Sequence[Sample] = (),
        **facts: Any,
    ) -> Run:
        plans = plans or [plan(cases=len(letters), repeats=len(letters[0]))]
        target = TargetInfo(spec=spec, model=spec, base_url="http://127.0.0.1:1/v1")
        run = self.store.create(target, plans, folder=self.folder)
        written = [*samples(letters, **facts), *more]
        for one in written:
            run.append(sample_to_dict(one))
        run.release()
        if closed:
            self._close(run, written, verdicts)
        return run

    def _close(self, run: Run, written: Sequence[Sample], verdicts: Sequence[tuple[str, str] | VerdictRecord]) -> None:
        states = [one.state.value for one in written]
        passed, missed, error = map(states.count, ("passed", "missed", "error"))
        run.update(
            closed=True,
            closed_at=START + timedelta(hours=self.made, seconds=9),
            answered_by=("m-2026",),
            totals=Totals(planned=len(written), passed=passed, missed=missed, error=error),
            verdicts=tuple(
                one
                if isinstance(one, VerdictRecord)
                else VerdictRecord(
                    eval_set=TICKETS, gate=one[0], status=one[1], message=f"{one[0]}: {one[1]} of 3 cases"
                )
                for one in verdicts
            ),
        )
