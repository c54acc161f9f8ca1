"""Why one case did not pass: what was asked, expected and got, and the difference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_finetune.records import State
from pytest_finetune.reports.text import printable, shortened
from pytest_finetune.scoring.diff import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.evalset import EvalSet
    from pytest_finetune.records import Case, Completion, Sample

PROMPT_LIMIT = 800
ANSWER_LIMIT = 2000
GLANCE = 40
"""Answers up to this length are compared at a glance; a difference would only say them twice."""


def failure_text(eval_set: EvalSet, case: Case, samples: Sequence[Sample]) -> str:
    """The whole text for one case: the prompt once, then the first attempt that did not pass."""
    failed = [sample for sample in samples if sample.state is not State.PASSED]
    lines = [f"{eval_set.name}:{case.line}: {case.id}", *_prompt(case)]
    if len(samples) > 1:
        lines.append(
            f"{len(samples) - len(failed)} of {len(samples)} attempts passed; attempt {failed[0].attempt + 1}:"
        )
    lines += _outcome(eval_set, case, failed[0])
    return printable("\n".join(lines))


def short_reason(samples: Sequence[Sample]) -> str:
    """One line for JUnit and the short summary, free of prompt text."""
    sample = next(s for s in samples if s.state is not State.PASSED)
    if sample.failure is not None:
        return printable(f"error: {sample.failure.kind}: {sample.failure.message}")
    if sample.score is not None and sample.score.format_failure:
        place = f" at {sample.score.path}" if sample.score.path else ""
        return printable(f"missed: format failure: {sample.score.format_failure}{place}")
    return "missed"


def _prompt(case: Case) -> Iterator[str]:
    for message in case.messages:
        yield from _field(message.role, _as_text(message.content), PROMPT_LIMIT)


def _outcome(eval_set: EvalSet, case: Case, sample: Sample) -> Iterator[str]:
    yield from _field("expected", _expected(case), ANSWER_LIMIT)
    if sample.completion is not None:
        yield from _field("got", _got(sample.completion), ANSWER_LIMIT)
    if sample.failure is not None:
        tries = f", after {sample.failure.retries + 1} tries" if sample.failure.retries else ""
        yield from _field("error", f"{sample.failure.kind}: {sample.failure.message}{tries}", ANSWER_LIMIT)
    if sample.score is None or sample.completion is None:
        return
    if sample.score.format_failure:
        place = f" at {sample.score.path}" if sample.score.path else ""
        yield from _field("format", f"{sample.score.format_failure}{place}", ANSWER_LIMIT)
    if sample.score.detail and (sample.score.path or sample.score.format_failure):
        yield from _field("because", sample.score.detail, ANSWER_LIMIT)
    if max(len(_expected(case)), len(_got(sample.completion))) > GLANCE:
        yield "  difference:"
        yield from (f"    {line}" for line in explain(case, sample.completion, eval_set.scorer))


def _field(name: str, text: str, limit: int) -> Iterator[str]:
    first, *rest = shortened(text, limit).split("\n")
    yield f"  {name + ':':<10} {first}"
    yield from (f"  {'':<10} {line}" for line in rest)


def _expected(case: Case) -> str:
    if case.tool_calls:
        return "\n".join(f"{call.name}({call.arguments})" for call in case.tool_calls)
    return "\n or ".join(_as_text(answer) for answer in case.expected) or "(nothing in particular)"


def _got(completion: Completion) -> str:
    if completion.tool_calls:
        return "\n".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)
    return completion.text or completion.refusal or "(nothing)"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=dict)
