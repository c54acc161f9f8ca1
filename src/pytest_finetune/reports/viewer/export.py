"""The samples of a run as a table: CSV, JSONL or Parquet, with the reviews of people."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.reports.failure import accepted_text, got_text, prompt_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.evaluation.runs.reviews import Review
    from pytest_finetune.reports.reported import ReportedRun

Cell = str | int | float | None
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "labels.jsonl": "application/x-ndjson",
}
"""Media type by format; `labels.jsonl` has the labelled answers that `gates calibrate` reads."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins with one of these for a formula, and the texts are those of a model."""


def exported(run: ReportedRun, reviews: Mapping[tuple[str, str], Review], form: str) -> bytes:
    """
    One row per sample.

    Args:
        run: The run.
        reviews: What people say about its cases, by eval set and case.
        form: One of `TYPES`.

    Raises:
        FinetuneError: pyarrow, which writes Parquet, is not installed.
    """
    if form == "labels.jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _labelled(run, reviews)).encode()
    rows = list(_rows(run, reviews))
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return _csv(rows) if form == "csv" else _parquet(rows)


def _rows(run: ReportedRun, reviews: Mapping[tuple[str, str], Review]) -> Iterator[dict[str, Cell]]:
    for part in run.sets:
        for row in part.summary.rows:
            review = reviews.get((part.name, row.case.id))
            for attempt, sample in enumerate(row.samples):
                yield {
                    "run": run.id,
                    "model": run.model,
                    "eval_set": part.name,
                    "case": row.case.id,
                    "attempt": attempt,
                    **_case_cells(row.case),
                    **_sample_cells(sample),
                    "person": review.verdict if review else "",
                    "note": review.note if review else "",
                }


def _labelled(run: ReportedRun, reviews: Mapping[tuple[str, str], Review]) -> Iterator[dict[str, Any]]:
    """Each case that a person found right or wrong, with its first answer; one without a text has no label."""
    for part in run.sets:
        for row in part.summary.rows:
            review, sample = reviews.get((part.name, row.case.id)), row.samples[0]
            text = sample.completion.text if sample and sample.completion else ""
            if review and review.verdict in ("right", "wrong") and text and row.case.messages:
                case: dict[str, Any] = {"id": row.case.id, "input": [one.to_wire() for one in row.case.messages]}
                if row.case.expected:
                    case["ideal"] = list(row.case.expected)
                yield {**case, "answer": text, "human": review.verdict == "right"}


def _case_cells(case: Case) -> dict[str, Cell]:
    return {
        "prompt": "\n\n".join(f"{role}: {text}" for role, text in prompt_fields(case, redact=False)),
        "expected": accepted_text(case),
        "tags": ", ".join(case.tags),
    }


def _sample_cells(sample: Sample | None) -> dict[str, Cell]:
    completion, score = sample and sample.completion, sample and sample.score
    usage = completion.usage if completion else None
    cost = sample.total_cost if sample else None
    return {
        "state": str(sample.state) if sample else "unrun",
        "answer": got_text(completion) if completion else "",
        "format_failure": str(score.format_failure or "") if score else "",
        "detail": score.detail if score else "",
        "error": sample.failure.message if sample and sample.failure else "",
        "latency_s": completion.latency if completion and completion.is_timed else None,
        "prompt_tokens": usage.prompt if usage else None,
        "completion_tokens": usage.completion if usage else None,
        "cost_usd": None if cost is None else float(cost),
    }


def _csv(rows: list[dict[str, Cell]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows({name: _harmless(cell) for name, cell in row.items()} for row in rows)
    # Excel reads UTF-8 only with a byte order mark.
    return text.getvalue().encode("utf-8-sig")


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _parquet(rows: list[dict[str, Cell]]) -> bytes:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise FinetuneError("pyarrow is not installed", "Parquet", "pip install pyarrow") from None
    table: Any = arrow.Table.from_pylist(rows)
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()
