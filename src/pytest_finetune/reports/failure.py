"""Explains why a case did not pass: prompt, expected answer, answer, and the difference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.reports.redaction import failure_words, hidden
from pytest_finetune.reports.text import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.base.records import Case, Completion, Sample, Score
    from pytest_finetune.verdicts.evalset import EvalSet

PROMPT_LIMIT = 800
ANSWER_LIMIT = 2000
REASONING_LIMIT = 1200
_CLOSING_TAG = "</think>"
ANY_ANSWER, EMPTY = "(any answer)", "(empty)"
ERROR = "error: "
"""Prefix of the reason for a case that ended in an error."""

SHORT = 40
"""No difference is shown for answers up to this length: it would only repeat them."""


def failure_text(eval_set: EvalSet, case: Case, samples: Sequence[Sample], *, redact: bool = False) -> str:
    """The full text for one case: the prompt, then the first attempt that did not pass."""
    sample = first_failed(samples)
    lines = [f"{eval_set.name}:{case.line}: {case.id}"]
    for name, text in prompt_fields(case, redact=redact):
        lines += _field(name, text, PROMPT_LIMIT)
    if len(samples) > 1:
        lines.append(f"{attempts_text(samples)}; attempt {sample.attempt + 1}:")
    for name, text in outcome_fields(case, sample, redact=redact):
        lines += _field(name, text, ANSWER_LIMIT)
    if not redact:
        lines += _difference(eval_set, case, sample)
    return printable("\n".join(lines))


def short_reason(samples: Sequence[Sample], *, redact: bool = False) -> str:
    """One line for JUnit and the short summary, without prompt text."""
    sample = first_failed(samples)
    if sample.failure is not None:
        return printable(f"{ERROR}{failure_words(sample.failure, redact=redact)}")
    if sample.score is not None and sample.score.format_failure:
        return printable(f"missed: format failure: {_format_failure(sample.score, redact=redact)}")
    return "missed"


def first_failed(samples: Sequence[Sample]) -> Sample:
    """The first attempt that did not pass."""
    return next(sample for sample in samples if sample.state is not State.PASSED)


def attempts_text(samples: Sequence[Sample]) -> str:
    """How many of a case's attempts passed."""
    passed = sum(sample.state is State.PASSED for sample in samples)
    return f"{passed} of {len(samples)} attempts passed"


def prompt_fields(case: Case, *, redact: bool) -> Iterator[tuple[str, str]]:
    """Role and text of each message."""
    for message in case.messages:
        yield message.role, _shown(_as_text(message.content), redact=redact)


def outcome_fields(case: Case, sample: Sample, *, redact: bool) -> Iterator[tuple[str, str]]:
    """Name and text of: the expected answer, the answer, and why it is wrong."""
    yield "expected", _shown(accepted_text(case), redact=redact)
    if sample.completion is not None:
        yield "got", _shown(got_text(sample.completion), redact=redact)
        if sample.completion.reasoning:
            yield "reasoning", _shown(reasoning_text(sample.completion), redact=redact)
        if _CLOSING_TAG in sample.completion.text:
            yield "hint", f'to score only what follows {_CLOSING_TAG}, set [answer] after = "{_CLOSING_TAG}"'
    for reply in sample.replies:
        if reply.completion is not None:
            yield reply.scorer or "judge", _shown(got_text(reply.completion), redact=redact)
    if sample.failure is not None:
        tries = f", after {sample.failure.retries + 1} attempts" if sample.failure.retries else ""
        yield "error", failure_words(sample.failure, redact=redact) + tries
    if sample.score is not None and sample.completion is not None:
        yield from _misses(sample.score, redact=redact)


def _misses(score: Score, *, redact: bool) -> Iterator[tuple[str, str]]:
    if score.format_failure:
        yield "format", _format_failure(score, redact=redact)
    # The detail quotes the answer, so it is left out when redacting.
    if score.detail and (score.path or score.format_failure) and not redact:
        yield "reason", score.detail
    for name, part in (score.parts or {}).items():
        if not part.passed:
            yield name, f"missed: {part.detail}" if part.detail and not redact else "missed"


def accepted_text(case: Case) -> str:
    """All answers that a case accepts, as text."""
    if case.tool_calls:
        return "\n".join(f"{call.name}({call.arguments})" for call in case.tool_calls)
    return "\n or ".join(_as_text(answer) for answer in case.expected) or ANY_ANSWER


def got_text(completion: Completion) -> str:
    """An answer as text: its tool calls, its text or its refusal."""
    if completion.tool_calls:
        return "\n".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)
    return completion.text or completion.refusal or EMPTY


def reasoning_text(completion: Completion) -> str:
    """The reasoning, without the middle of a long one."""
    text = completion.reasoning
    half = REASONING_LIMIT // 2
    return text if len(text) <= REASONING_LIMIT else f"{text[:half]}\n…\n{text[-half:]}"


def _shown(text: str, *, redact: bool) -> str:
    return hidden(text) if redact and text not in (ANY_ANSWER, EMPTY) else text


def _difference(eval_set: EvalSet, case: Case, sample: Sample) -> Iterator[str]:
    if sample.score is None or sample.completion is None:
        return
    if max(len(accepted_text(case)), len(got_text(sample.completion))) > SHORT:
        yield "  difference:"
        yield from (f"    {line}" for line in eval_set.scorer.explain(case, sample.completion))


def _format_failure(score: Score, *, redact: bool) -> str:
    # A path contains the answer's own keys, which may be any text.
    place = f" at {score.path}" if score.path and not redact else ""
    return f"{score.format_failure}{place}"


def _field(name: str, text: str, limit: int) -> Iterator[str]:
    first, *rest = shortened(text, limit).split("\n")
    yield f"  {name + ':':<10} {first}"
    yield from (f"  {'':<10} {line}" for line in rest)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=dict)
