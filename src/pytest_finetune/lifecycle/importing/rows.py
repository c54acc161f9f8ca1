"""Rows of other evaluation tools: DeepEval, Inspect, lm-eval, Langfuse, LangSmith and Braintrust."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import type_name
from pytest_finetune.lifecycle.importing.answers import expecting_recorded, plain_messages, text_answer
from pytest_finetune.lifecycle.importing.foreign import (
    RECORDED,
    ForeignCase,
    Format,
    NotCarried,
    described,
    each_row,
    fitting,
)
from pytest_finetune.lifecycle.importing.templates import render, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions, RecordedAnswer

    _Skip = Callable[[int, str], None]
    _Convert = Callable[[Mapping[str, Any], int, ImportOptions], ForeignCase]

_COMMON = ("id", "tags", "metadata")


def _case(
    value: Mapping[str, Any],
    options: ImportOptions,
    *,
    prompt: object,
    expected: object,
    used: Iterable[str],
    answers: Sequence[RecordedAnswer] = (),
) -> dict[str, Any]:
    """
    The line of an eval set.

    Args:
        value: The row.
        options: Templates, which override the values in the row.
        prompt: The prompt of the row: text, messages, or an object with one of them.
        expected: The expected answer of the row; None if it has none.
        used: Columns that are read, which do not become metadata.
        answers: What was recorded for it.
    """
    case: dict[str, Any] = {key: value[key] for key in ("id", "tags") if value.get(key) not in (None, "", [])}
    case["input"] = render(options.prompt, value) if options.prompt else _prompt(prompt)
    if options.expected == RECORDED:
        case = expecting_recorded(case, answers)
    elif options.expected:
        case["expected"] = [value_of(options.expected, value)]
    elif expected in (None, "", []):
        raise NotCarried("nothing is expected: name the answer with --expected")
    else:
        case["expected"] = expected if isinstance(expected, list) else [expected]
    own = value.get("metadata")
    metadata = {**(own if isinstance(own, dict) else {}), **described(value, {*used, *_COMMON}).get("metadata", {})}
    return case | ({"metadata": metadata} if metadata else {})


def _prompt(given: object) -> str | list[dict[str, Any]]:
    """Text or messages; of an object with one text or one list of messages, that one."""
    if isinstance(given, dict):
        held = next(iter(given.values())) if len(given) == 1 else None
        if not isinstance(held, str | list):
            raise NotCarried(f"the input has {_names(given)}: name the prompt with --prompt")
        given = held
    if isinstance(given, str) and given.strip():
        return given
    if isinstance(given, list):
        return plain_messages(given)
    raise NotCarried(f"the input is {type_name(given)}, not text or messages: name the prompt with --prompt")


def _unwrapped(given: object) -> object:
    """Of an object with one value, that value."""
    return next(iter(given.values())) if isinstance(given, dict) and len(given) == 1 else given


def _names(value: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, value)) or "no fields"


def _deepeval(value: Mapping[str, Any], line: int, options: ImportOptions) -> ForeignCase:
    used = ("input", "expected_output", "actual_output", "additional_metadata", "tools_called", "expected_tools")
    if value.get("expected_tools"):
        raise NotCarried("expected_tools have no arguments to compare: write the calls as messages")
    extra = value.get("additional_metadata")
    row = {**value, **({"metadata": extra} if isinstance(extra, dict) and extra else {})}
    answers = text_answer(value.get("actual_output"))
    expected = value.get("expected_output")
    case = _case(row, options, prompt=value.get("input"), expected=expected, used=used, answers=answers)
    return ForeignCase(line, case, answers)


def _inspect(value: Mapping[str, Any], line: int, options: ImportOptions) -> ForeignCase:
    for key in ("files", "sandbox", "setup"):
        if value.get(key):
            raise NotCarried(f"it needs {key!r}, which a request cannot send")
    prompt, choices = value.get("input"), value.get("choices")
    if choices and not options.choices:
        raise NotCarried("it has choices: add them to the prompt with --choices")
    if choices:
        prompt = _with_choices(prompt, choices)
    used = ("input", "target", "choices", "files", "sandbox", "setup")
    return ForeignCase(line, _case(value, options, prompt=prompt, expected=value.get("target"), used=used))


def _with_choices(prompt: object, choices: object) -> str:
    if not isinstance(prompt, str) or not isinstance(choices, list) or len(choices) > len(ascii_uppercase):
        raise NotCarried("choices can be added to a prompt of text only, and up to 26 of them")
    listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))
    return f"{prompt}\n\n{listed}\n\nAnswer with the letter only."


def _lm_eval(value: Mapping[str, Any], line: int, options: ImportOptions) -> ForeignCase:
    doc = value["doc"]
    given = value.get("arguments")
    first = next(iter(given.values()), None) if isinstance(given, dict) else given
    while isinstance(first, list) and first:
        first = first[0]
    if isinstance(first, dict):
        first = first.get("arg_0")
    answers = _lm_eval_answers(value.get("resps"))
    row = {**doc, "id": f"doc-{value['doc_id']}"} if "doc_id" in value else dict(doc)
    case = _case(row, options, prompt=first, expected=value.get("target"), used=("id",), answers=answers)
    return ForeignCase(line, case, answers)


def _lm_eval_answers(given: object) -> tuple[RecordedAnswer, ...]:
    """The repeats of the one request of a sample."""
    if given is None:
        return ()
    requests = given if isinstance(given, list) else [given]
    repeats = requests[0] if len(requests) == 1 and isinstance(requests[0], list) else requests
    if len(requests) > 1 or not all(isinstance(each, str) for each in repeats):
        raise NotCarried("it ranks given continuations; an eval set needs answers that the model writes")
    return tuple(answer for each in repeats for answer in text_answer(each))


def _read_lm_eval(
    rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip
) -> Iterator[ForeignCase]:
    """The samples as one filter has them: lm-eval logs each sample once for each of its filters."""

    def of_one_filter() -> Iterator[Row]:
        taken: object = None
        for number, row in enumerate(fitting(rows, _is_lm_eval, skip)):
            name = row.value.get("filter")
            taken = taken if number else name
            if name == taken:
                yield row
            else:
                findings.not_carried[f"filter {str(name)!r}: the same samples as those of {str(taken)!r}"] += 1

    yield from each_row(of_one_filter(), lambda row: _lm_eval(row.value, row.line, options), skip)


def _langfuse(value: Mapping[str, Any], line: int, options: ImportOptions) -> ForeignCase:
    used = ("input", "expectedOutput", "datasetId", "datasetName", "createdAt", "updatedAt", "status")
    given, expected = value.get("input"), value.get("expectedOutput")
    # Next to text, an object is the JSON that is expected.
    expected = _unwrapped(expected) if isinstance(given, dict) else expected
    case = _case(value, options, prompt=given, expected=expected, used=used)
    return ForeignCase(line, case)


def _langsmith(value: Mapping[str, Any], line: int, options: ImportOptions) -> ForeignCase:
    used = ("inputs", "outputs", "dataset_id", "created_at", "modified_at")
    # Outputs are always an object there.
    expected = _unwrapped(value.get("outputs"))
    case = _case(value, options, prompt=value.get("inputs"), expected=expected, used=used)
    return ForeignCase(line, case)


def _braintrust(value: Mapping[str, Any], line: int, options: ImportOptions) -> ForeignCase:
    answers = text_answer(value.get("output"))
    used = ("input", "expected", "output", "scores", "root_span_id", "span_id", "_xact_id", "created", "origin")
    expected = value.get("expected")
    case = _case(value, options, prompt=value.get("input"), expected=expected, used=used, answers=answers)
    return ForeignCase(line, case, answers)


def _reader(convert: _Convert) -> Callable[[Iterable[Row], ImportOptions, Findings, _Skip], Iterator[ForeignCase]]:
    def read(rows: Iterable[Row], options: ImportOptions, _findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
        yield from each_row(rows, lambda row: convert(row.value, row.line, options), skip)

    return read


def _has(*columns: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: row.keys() >= set(columns)


def _is_lm_eval(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("doc"), dict) and "target" in row


FORMATS = (
    Format("deepeval", "DeepEval", _has("input", "actual_output"), _reader(_deepeval)),
    Format(
        "inspect",
        "Inspect",
        _has("input", "target"),
        _reader(_inspect),
        frozenset({"prompt", "expected", "choices"}),
    ),
    Format("lm-eval", "samples of lm-eval", _is_lm_eval, _read_lm_eval),
    Format("langfuse", "items of a Langfuse dataset", _has("input", "expectedOutput"), _reader(_langfuse)),
    Format("langsmith", "examples of a LangSmith dataset", _has("inputs", "outputs"), _reader(_langsmith)),
    Format("braintrust", "Braintrust", _has("input", "expected"), _reader(_braintrust)),
)
