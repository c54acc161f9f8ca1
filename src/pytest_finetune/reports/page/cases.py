"""Encodes cases and samples for the script of the page: compact arrays whose integers index a table of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import State
from pytest_finetune.reports.failure import accepted_text, got_text, prompt_fields, reasoning_text
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.reports.sources import NOT_REQUESTED
from pytest_finetune.verdicts.metrics.labels import INVALID, NO_ANSWER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.base.records import Case, Completion, Sample, Score
    from pytest_finetune.reports.page.strings import Strings
    from pytest_finetune.reports.reported import ReportedRun, ReportedSet
    from pytest_finetune.verdicts.comparison import Flip
    from pytest_finetune.verdicts.metrics.drift import Drift
    from pytest_finetune.verdicts.metrics.plan import CaseSamples

STATES = (State.PASSED, State.MISSED, State.ERROR, State.UNRUN, State.UNNEEDED)
LOST, WON = 1, 2
FINISHES = frozenset({"length", "content_filter", "tool_calls", "function_call"})
"""Finish reasons of OpenAI's API other than `stop`."""


def run_value(run: ReportedRun, strings: Strings) -> dict[str, Any]:
    """One model with the cases of all its sets."""
    return {
        "model": strings.number(run.model),
        "sets": [_set_value(part, strings, closed=run.closed) for part in run.sets],
    }


def _set_value(part: ReportedSet, strings: Strings, *, closed: bool) -> dict[str, Any]:
    flips = {flip.case_id: flip for flip in part.comparison.flips} if part.comparison else {}
    missing = State.UNNEEDED if closed else State.UNRUN
    cases = [_case(row, part, strings, flips.get(row.case.id), missing) for row in part.summary.rows]
    return {
        "name": strings.number(part.name),
        "baseline": strings.number(part.baseline),
        "missing": strings.number(part.missing_prompts),
        "cases": cases,
        "drift": [] if strings.redact else _drift(part, strings),
    }


def _drift(part: ReportedSet, strings: Strings) -> list[Any]:
    """Drifting paths, each with the indices of the cases that drift."""
    if part.repeats == 1:
        return []
    indices = {row.case.id: index for index, row in enumerate(part.summary.rows)}
    return [
        [strings.number(drift_name(drift)), [indices[case_id] for case_id in drift.cases]]
        for drift in part.summary.drift
    ]


def drift_name(drift: Drift) -> str:
    """Filter value for a drifting path."""
    return f"{drift.path} {drift.kind}"


def _case(row: CaseSamples, part: ReportedSet, strings: Strings, flip: Flip | None, missing: State) -> list[Any]:
    """`[id, line, prompt, expected, label, tags, metadata, samples, flip, samples of the baseline]`."""
    case = row.case
    known = not part.missing_prompts
    expected_label = part.summary.expected_label
    label = expected_label(case) if expected_label and known and not strings.redact else ""
    value = [
        strings.number("" if case.id.startswith(NOT_REQUESTED) else case.id),
        case.line,
        [part for field in _prompt(case, strings) for part in field],
        strings.private(accepted_text(case)) if known else 0,
        strings.number(label),
        [strings.number(tag) for tag in case.tags],
        [] if strings.redact else [part for pair in _metadata(case, strings) for part in pair],
        [_sample(sample, missing, label, strings) for sample in row.samples],
        0 if flip is None else LOST if flip.lost else WON,
        [] if flip is None else [_sample(sample, missing, label, strings) for sample in flip.before],
    ]
    return _trimmed(value)


def _prompt(case: Case, strings: Strings) -> Iterator[tuple[int, int]]:
    for role, text in prompt_fields(case, redact=strings.redact):
        yield strings.number(role), strings.number(text)
    if case.tools:
        names = ", ".join(str(tool.get("function", tool).get("name", "?")) for tool in case.tools)
        yield strings.number("tools"), strings.private(names)


def _metadata(case: Case, strings: Strings) -> Iterator[tuple[int, int]]:
    return ((strings.number(key), strings.number(str(value))) for key, value in case.metadata.items())


def _sample(sample: Sample | None, missing: State, label: str, strings: Strings) -> list[Any]:
    """
    One sample.

    `[state, answer, format failure, path, reason, label, error, latency, tokens in, out, cached, cost, finish,
    reasoning, probability, judge]`.
    """
    if sample is None:
        return [STATES.index(missing)]
    completion, score, usage = sample.completion, sample.score, sample.completion and sample.completion.usage
    reveals = score is not None and not strings.redact
    return _trimmed(
        [
            STATES.index(sample.state),
            strings.private(got_text(completion)) if completion else strings.number(_missing_text(sample)),
            strings.number(score.format_failure or "") if score else 0,
            strings.number(score.path) if score and reveals else 0,
            strings.number(_reason(score)) if score and reveals else 0,
            strings.number(_confusion_column(sample)) if label else 0,
            strings.number(failure_words(sample.failure, redact=strings.redact)) if sample.failure else 0,
            round(completion.latency, 3) if completion and completion.is_timed else 0,
            usage.prompt if usage else 0,
            usage.completion if usage else 0,
            int(bool(completion and completion.from_cache)),
            float(sample.total_cost) if sample.total_cost else 0,
            strings.number(_finish_reason(completion, redact=strings.redact)) if completion else 0,
            strings.private(reasoning_text(completion)) if completion and completion.reasoning else 0,
            round(completion.probability or 0, 4) if completion else 0,
            strings.private(judge) if (judge := _judge_text(sample)) else 0,
        ]
    )


def _missing_text(sample: Sample) -> str:
    """Shown for an answer that was scored and whose text is not recorded, as in the evidence of a registry."""
    return "(not recorded)" if sample.state in (State.PASSED, State.MISSED) else ""


def _judge_text(sample: Sample) -> str:
    """What a judge replied about the answer."""
    return "\n\n".join(
        f"{reply.scorer and f'{reply.scorer}: '}{got_text(reply.completion)}"
        for reply in sample.replies
        if reply.completion
    )


def _reason(score: Score) -> str:
    """What is wrong, by the deciding scorer and by each other one that does not pass the answer."""
    others = [f"{name}: {part.detail or 'missed'}" for name, part in (score.parts or {}).items() if not part.passed]
    return "\n".join(filter(None, (score.detail, *others)))


def _finish_reason(completion: Completion, *, redact: bool) -> str:
    """The finish reason; empty for `stop`, and, redacted, for anything but OpenAI's own reasons."""
    reason = completion.finish_reason
    return "" if reason == "stop" or (redact and reason not in FINISHES) else reason


def _confusion_column(sample: Sample) -> str:
    """Column of the confusion matrix that counts the sample."""
    if sample.score is None:
        return NO_ANSWER
    return sample.score.label or INVALID


def _trimmed(value: Sequence[Any]) -> list[Any]:
    """Drop trailing zeros and empty lists; the script fills them in."""
    end = len(value)
    while end and not value[end - 1]:
        end -= 1
    return list(value[:end])
