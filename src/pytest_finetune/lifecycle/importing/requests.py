"""Stored completions and batches: requests that were sent, and the answers they got."""

from __future__ import annotations

import marshal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.importing.answers import broken_answer, expecting_recorded, plain_messages
from pytest_finetune.lifecycle.importing.foreign import (
    RECORDED,
    ForeignCase,
    Format,
    NotCarried,
    RecordedAnswer,
    each_row,
    fitting,
)
from pytest_finetune.lifecycle.importing.parameters import SharedParameters
from pytest_finetune.lifecycle.importing.templates import value_of
from pytest_finetune.verdicts.evalset.settings import RequestSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions

    _Skip = Callable[[int, str], None]

_ANSWER_NOTE = "each case expects its recorded answer; use --expected to expect something else"


def _case(row: Row, request: Mapping[str, Any], answer: RecordedAnswer, options: ImportOptions) -> ForeignCase:
    name = row.value.get("custom_id") or row.value.get("id")
    extra: dict[str, Any] = {"id": name} if name else {}
    for key, kind in (("tools", list), ("metadata", dict)):
        given = request.get(key) or row.value.get(key)
        if isinstance(given, kind) and given:
            extra[key] = given
    answers = _one_each(answer)
    case = {**extra, "input": plain_messages(request.get("messages"))}
    if options.expected in ("", RECORDED):
        case = expecting_recorded(case, answers)
    else:
        case["expected"] = [value_of(options.expected, row.value)]
    return ForeignCase(row.line, case, answers)


def _one_each(answer: RecordedAnswer) -> tuple[RecordedAnswer, ...]:
    """The answers to one request with `n` above 1, each as an answer of its own."""
    choices = answer.body.get("choices")
    if not isinstance(choices, list) or len(choices) < 2:  # noqa: PLR2004 - one choice is the usual case
        return (answer,)
    return tuple(replace(answer, body={**answer.body, "choices": [choice]}) for choice in choices)


def _read_batch(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    parameters = SharedParameters()

    def convert(row: Row) -> ForeignCase:
        name = row.value["custom_id"]
        raw = options.others.get(name)
        body = marshal.loads(raw).get("body") if raw else None  # noqa: S302 - our own bytes
        if not isinstance(body, dict):
            raise NotCarried(f"no request has the custom_id {name!r}: name the batch's input file with --with")
        parameters.see(body)
        return _case(row, body, _batch_answer(row.value), options)

    yield from each_row(fitting(rows, _is_batch, skip), convert, skip)
    _end(parameters, options, findings)


def _batch_answer(row: Mapping[str, Any]) -> RecordedAnswer:
    response, error = row.get("response"), row.get("error")
    if isinstance(response, dict) and "choices" in response:
        return RecordedAnswer("", response)
    if isinstance(response, dict) and isinstance(response.get("body"), dict):
        status = response.get("status_code")
        return RecordedAnswer("", response["body"], status if isinstance(status, int) else 200)
    return broken_answer("", error or "the file records no answer")


def _read_stored(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    parameters = SharedParameters()

    def convert(row: Row) -> ForeignCase:
        value = row.value
        if not value.get("messages"):
            hint = "add what GET /chat/completions/{id}/messages returns as 'messages'"
            raise NotCarried(f"the prompt is not in the row: {hint}")
        parameters.see({key: value[key] for key in RequestSettings.model_fields if key in value})
        return _case(row, value, RecordedAnswer("", value), options)

    yield from each_row(fitting(rows, _is_stored, skip), convert, skip)
    _end(parameters, options, findings)


def _end(parameters: SharedParameters, options: ImportOptions, findings: Findings) -> None:
    parameters.add_to(findings)
    if options.expected in ("", RECORDED):
        findings.note(_ANSWER_NOTE)


def _is_batch(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("custom_id"), str) and bool({"response", "error"} & row.keys())


def _is_stored(row: Mapping[str, Any]) -> bool:
    choices = row.get("choices")
    return isinstance(choices, list) and all(isinstance(each, dict) and "message" in each for each in choices)


FORMATS = (
    Format(
        "batch",
        "output of a batch, with its requests by --with",
        _is_batch,
        _read_batch,
        frozenset({"expected", "others"}),
    ),
    Format(
        "stored-completions",
        "stored chat completions with their messages",
        _is_stored,
        _read_stored,
        frozenset({"expected"}),
    ),
)
