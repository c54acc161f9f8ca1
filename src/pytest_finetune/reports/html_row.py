"""A case or a gate as one row of pytest-html: its cells, and the details below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.reports.case_figures import case_figures
from pytest_finetune.reports.failure import (
    attempts_text,
    first_failed,
    outcome_fields,
    prompt_fields,
)
from pytest_finetune.reports.html_text import escape_html, marked
from pytest_finetune.reports.tables import measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_finetune.base.records import Case, Completion, Sample
    from pytest_finetune.reports.reported import Gate
    from pytest_finetune.verdicts.evalset import EvalSet

COLUMNS = ("model", "verdict", "score", "latency", "tokens")
LIMIT = 2_000
"""Characters of a prompt's message or an answer that a row shows; the run record has them in full."""

PASSED_LIMIT = 200
"""Like `LIMIT`, for cases that passed: one file may have thousands of them."""


def header_cells() -> list[str]:
    """The headings of our columns."""
    return [f'<th class="sortable" data-column-type="{name}">{name.capitalize()}</th>' for name in COLUMNS]


def empty_cells() -> list[str]:
    """The cells of a test that is neither a case nor a gate."""
    return _row([""] * len(COLUMNS), State.PASSED)


def case_cells(model: str, state: str, samples: Sequence[Sample]) -> list[str]:
    """The cells of a case, after pytest-html's own."""
    figures = case_figures(samples)
    score = f"{figures.passed}/{figures.attempts}"
    if figures.fields:
        score = f"{figures.fields[0]}/{figures.fields[1]} fields"
    # Padded, for pytest-html sorts a column by its text.
    latency = "cached" if figures.from_cache else "-"
    if figures.latency is not None:
        latency = f"{figures.latency * 1000:>9,.0f} ms"
    tokens = "-" if figures.tokens is None else f"{figures.tokens:>9,}"
    verdict = f"{state}: {figures.why}" if figures.why else state
    return _row((model, verdict, score, latency, tokens), state)


def gate_cells(model: str, gate: Gate) -> list[str]:
    """The cells of a gate."""
    return _row((model, gate.status, measured(gate), "", ""), gate.status)


def case_html(eval_set: EvalSet, case: Case, samples: Sequence[Sample], *, redact: bool) -> str:
    """Prompt, expected and got of a case, with the difference of the first attempt that did not pass."""
    failed = any(sample.state is not State.PASSED for sample in samples)
    limit = LIMIT if failed else PASSED_LIMIT
    sample = first_failed(samples) if failed else samples[0]
    fields = [(role, escape_html(text, limit)) for role, text in prompt_fields(case, redact=redact)]
    if failed and len(samples) > 1:
        fields.append(("attempts", f"{attempts_text(samples)}; below is attempt {sample.attempt + 1}"))
    outcome = dict(outcome_fields(case, sample, redact=redact))
    if failed and not redact and sample.score is not None and sample.completion is not None:
        fields += _compared(eval_set, case, sample.completion, outcome, limit)
    else:
        fields += ((name, escape_html(text, limit)) for name, text in outcome.items())
    return _list(fields)


def gate_html(gate: Gate) -> str:
    """The message of a gate's verdict."""
    return _list([("gate", escape_html(gate.verdict.message))])


def _compared(
    eval_set: EvalSet, case: Case, completion: Completion, outcome: dict[str, str], limit: int
) -> Iterator[tuple[str, str]]:
    """Expected and got with the words that differ marked; otherwise plain, with the scorer's own explanation."""
    marks = None if eval_set.scorer.explains_by_path else marked(outcome["expected"], outcome["got"], limit)
    plain = {name: escape_html(text, limit) for name, text in outcome.items()}
    if marks is not None:
        plain["expected"], plain["got"] = marks
    yield from plain.items()
    lines = eval_set.scorer.explain(case, completion) if marks is None else []
    # For two short texts with nothing in common the scorer repeats both, and they are shown already.
    if lines and not lines[0].startswith(("expected: ", "got ")):
        yield "difference", "".join(map(_diff_line, lines))


def _diff_line(line: str) -> str:
    tag = {"-": "del", "+": "ins"}.get(line[:1], "span")
    return f"<{tag}>{escape_html(line)}</{tag}><br>"


def _list(fields: Iterable[tuple[str, str]]) -> str:
    # The end tags of dt and dd are optional; without them ten thousand rows are smaller.
    return f"<dl class=ft>{''.join(f'<dt>{escape_html(name)}<dd>{html}' for name, html in fields)}</dl>"


def _row(values: Sequence[str], state: str) -> list[str]:
    kinds = [f"col-{name}" for name in COLUMNS]
    if state != State.PASSED:
        kinds[1] = f'"col-verdict ft-{state}"'
    return [f"<td class={kind}>{escape_html(value)}</td>" for kind, value in zip(kinds, values, strict=True)]
