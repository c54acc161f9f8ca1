"""The result of an evaluation: verdicts, figures and answers, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.records import State
from pytest_finetune.reports.result_html import result_html
from pytest_finetune.reports.terminal import Layout, summary_lines
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.outcome import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from pytest_finetune.base.records import Case, Failure, Message, Sample, ToolCall
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.reports.reported import ReportedRun
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.gates.outcome import Outcome

Rows = Literal["samples", "verdicts", "sets"]


@dataclass(frozen=True, slots=True)
class SampleResult:
    """
    One attempt at a case.

    Args:
        eval_set: Name of the eval set.
        case: Id of the case.
        attempt: 0-based repeat.
        state: `passed`, `missed`, `error`, or `unrun` if it was not requested.
        messages: The prompt.
        expected: Acceptable answers; empty if calls are expected.
        answer: The text of the answer; None without an answer.
        tool_calls: The functions that the model called.
        detail: Why it missed or failed, in one clause; empty if it passed.
        tags: Tags of the case.
        metadata: Metadata of the case.
        latency: Seconds; None without an answer.
        tokens: Prompt and completion tokens; None if the server did not count them.
        cost: US dollars; None if unknown.
    """

    eval_set: str
    case: str
    attempt: int
    state: str
    messages: tuple[Message, ...]
    expected: tuple[Any, ...]
    answer: str | None
    tool_calls: tuple[ToolCall, ...]
    detail: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    latency: float | None
    tokens: int | None
    cost: float | None

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values: messages and calls are dicts."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "messages": [message.to_wire() for message in self.messages],
            "expected": list(self.expected),
            "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in self.tool_calls],
            "tags": list(self.tags),
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True, repr=False)
class EvaluationResult:
    """
    The result of one model over its eval sets. Printed, and in a notebook, it is the tables of a session.

    Args:
        model: The model's spec.
        run: The record, with every answer; None if nothing was recorded, because it stopped before the first answer.
        sets: The figures and verdicts of each eval set.
        stopped: Why no more requests were sent; None if all were.
        reported: What the reports show; its fields may change.
    """

    model: str
    run: Run | None
    sets: tuple[SetResult, ...]
    stopped: Failure | None
    reported: ReportedRun

    @property
    def outcome(self) -> Outcome:
        """The verdict over all sets in words, with its reasons."""
        return outcome_of(self.sets)

    @property
    def passed(self) -> bool:
        """Every gate passed, and every planned sample was requested. An open verdict is not a pass."""
        return self.stopped is None and all(one.complete for one in self.sets) and self.outcome.status is Status.PASS

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict of each gate."""
        return tuple(verdict for one in self.sets for verdict in one.verdicts)

    @property
    def samples(self) -> tuple[SampleResult, ...]:
        """Every planned sample, in the order of the cases."""
        return tuple(row for one in self.sets for row in _samples(one))

    def to_dicts(self, rows: Rows = "samples") -> list[dict[str, Any]]:
        """
        The samples, the verdicts or the eval sets as rows of plain values.

        Raises:
            ValueError: There are no such rows.
        """
        match rows:
            case "samples":
                return [one.to_dict() for one in self.samples]
            case "verdicts":
                return [_verdict_row(verdict) for verdict in self.verdicts]
            case "sets":
                return [_set_row(one) for one in self.sets]
        raise ValueError(f"no rows {rows!r}; there are 'samples', 'verdicts' and 'sets'")

    def to_pandas(self, rows: Rows = "samples") -> pd.DataFrame:
        """
        The rows of `to_dicts` as a DataFrame.

        Raises:
            FinetuneError: pandas is not installed.
            ValueError: There are no such rows.
        """
        found = self.to_dicts(rows)
        try:
            import pandas as pd
        except ImportError:
            hint = "pip install 'pytest-finetune[pandas]'"
            raise FinetuneError("pandas is not installed", "to_pandas", hint) from None
        return pd.DataFrame(found)

    def __repr__(self) -> str:
        return "\n".join(text for text, _ in summary_lines([self.reported], Layout()))

    def _repr_html_(self) -> str:
        """The same tables for notebooks, with each gate's interval drawn next to its bar."""
        return result_html(self.reported)


def _samples(one: SetResult) -> Iterator[SampleResult]:
    for row in one.summary.rows:
        for attempt, sample in enumerate(row.samples):
            yield _sample(one.name, row.case, attempt, sample)


def _sample(eval_set: str, case: Case, attempt: int, sample: Sample | None) -> SampleResult:
    completion = sample.completion if sample else None
    usage = completion.usage if completion else None
    score = sample.score if sample else None
    failure = sample.failure if sample else None
    return SampleResult(
        eval_set=eval_set,
        case=case.id,
        attempt=attempt,
        state=str(sample.state if sample else State.UNRUN),
        messages=case.messages,
        expected=case.expected,
        answer=completion.text if completion else None,
        tool_calls=completion.tool_calls if completion else (),
        detail=score.detail if score else failure.message if failure else "",
        tags=case.tags,
        metadata=case.metadata,
        latency=completion.latency if completion else None,
        tokens=usage.prompt + usage.completion if usage else None,
        cost=None if sample is None or sample.total_cost is None else float(sample.total_cost),
    )


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    interval = verdict.interval
    return {
        "eval_set": verdict.eval_set,
        "gate": verdict.gate,
        "status": str(verdict.status),
        "value": verdict.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "bar": verdict.rule.bar,
        "cases": verdict.n,
        "baseline": verdict.baseline,
        "message": verdict.message,
    }


def _set_row(one: SetResult) -> dict[str, Any]:
    summary = one.summary
    accuracy, cost = summary.measured("accuracy"), summary.cost
    return {
        "eval_set": one.name,
        "cases": len(summary.rows),
        "accuracy": accuracy.value,
        "low": accuracy.interval.low if accuracy.interval else None,
        "high": accuracy.interval.high if accuracy.interval else None,
        **{str(state): count for state, count in summary.counts.items()},
        "latency_p50": summary.value("latency_p50").value,
        "latency_p95": summary.value("latency_p95").value,
        "tokens": summary.tokens,
        "cost": None if cost is None else float(cost),
    }
