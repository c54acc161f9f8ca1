"""Logs of Inspect, `.eval` or JSON: one row for each sample and epoch, with the log's header under `eval`."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.lifecycle.data.raw_rows import LeftOut
from pytest_finetune.lifecycle.data.rows import Row
from pytest_finetune.lifecycle.importing.answers import (
    broken_answer,
    completion_body,
    expecting_recorded,
    plain_messages,
)
from pytest_finetune.lifecycle.importing.foreign import (
    RECORDED,
    ForeignCase,
    Format,
    NotCarried,
    RecordedAnswer,
    each_row,
    fitting,
    list_of,
    object_of,
)
from pytest_finetune.lifecycle.importing.templates import render, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions

    _Skip = Callable[[int, str], None]

_MOST_BYTES = 64 * 1024 * 1024
"""Maximum bytes of one sample; a small archive can hold an endless one."""

_RIGHT, _WRONG = ("C", True, 1), ("I", "P", "N", False, 0)


def read_log(path: Path) -> Iterator[Row | LeftOut]:
    """
    The samples of an `.eval` log, which is a ZIP archive, in the archive's order.

    Raises:
        DataError: It cannot be read.
    """
    # Inspect compresses with zstandard, which zipfile reads since Python 3.14, or with this package.
    with suppress(ImportError):
        import zipfile_zstd  # noqa: F401
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.startswith("samples/") and name.endswith(".json")]
            header = _member(archive, "header.json")
            about = header.get("eval") if isinstance(header, dict) else None
            for number, name in enumerate(names, 1):
                sample = _member(archive, name)
                if isinstance(sample, dict):
                    yield Row(str(path), number, {**sample, "eval": about})
                else:
                    yield LeftOut(number, f"{name} holds no sample")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check path and permissions") from error
    except NotImplementedError as error:
        hint = "pip install 'pytest-finetune[import]', or convert it to JSON: inspect log convert --to json"
        raise DataError("compressed with zstandard, which this Python cannot read", str(path), hint) from error
    # RuntimeError: the archive is encrypted.
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, ValueError) as error:
        raise DataError(f"not a whole log of Inspect: {error}", str(path), "is the evaluation finished?") from error


def _member(archive: zipfile.ZipFile, name: str) -> object:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError(f"{name} is larger than 64 MiB")
    return parse_json(archive.read(name).decode())


def _read(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    def convert(row: Row) -> ForeignCase:
        sample = row.value
        about = object_of(sample.get("eval"))
        for scorer in object_of(sample.get("scores")):
            findings.note(f"Inspect scored with {str(scorer)!r}; set the scorer that means the same in the settings")
        case: dict[str, Any] = {"id": sample.get("id"), "input": _prompt(sample, options)}
        answer = _answer(sample, about)
        if options.expected == RECORDED:
            case = expecting_recorded(case, [answer])
        elif options.expected:
            case["expected"] = [value_of(options.expected, sample)]
        elif (target := sample.get("target")) not in (None, "", []):
            case["expected"] = target if isinstance(target, list) else [target]
        else:
            raise NotCarried("nothing is expected: name the answer with --expected")
        if metadata := object_of(sample.get("metadata")):
            case["metadata"] = metadata
        return ForeignCase(row.line, case, (answer,), f"id {sample.get('id')!r}")

    yield from each_row(fitting(rows, _is_sample, skip), convert, skip)


def _prompt(sample: Mapping[str, Any], options: ImportOptions) -> str | list[dict[str, Any]]:
    """The messages before the model's first answer, as they were sent."""
    if options.prompt:
        return render(options.prompt, sample)
    sent = sample.get("messages") or sample.get("input")
    if isinstance(sent, str):
        return sent
    messages = plain_messages(sent)
    answers = [index for index, each in enumerate(messages) if each.get("role") == "assistant"]
    if len(answers) > 1:
        raise NotCarried("the model was asked several times, and a case is one request: name the prompt with --prompt")
    messages = messages[: answers[0]] if answers else messages
    if not messages:
        raise NotCarried("the prompt is not in the log: name it with --prompt")
    return messages


def _answer(sample: Mapping[str, Any], about: Mapping[str, Any]) -> RecordedAnswer:
    output = object_of(sample.get("output"))
    error = sample.get("error") or output.get("error")
    choice = object_of(next(iter(list_of(output.get("choices"))), None))
    message = choice.get("message")
    passed = _passed(sample.get("scores"))
    if error or not isinstance(message, dict):
        return broken_answer("", error or "the log records no answer", passed=passed)
    calls = [_call(each) for each in list_of(message.get("tool_calls")) if isinstance(each, dict)]
    answer = {"content": message.get("content"), **({"tool_calls": calls} if calls else {})}
    usage = object_of(output.get("usage"))
    counts = {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens")}
    model = output.get("model") or about.get("model")
    body = completion_body(answer, model=model, reason=choice.get("stop_reason"), usage=counts)
    return RecordedAnswer("", body, passed=passed)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call as servers send it: Inspect has its arguments as an object, not as JSON text."""
    arguments = call.get("arguments")
    text = arguments if isinstance(arguments, str) else compact_json(arguments)
    return {"type": "function", "function": {"name": call.get("function"), "arguments": text}}


def _passed(scores: object) -> bool | None:
    """Whether the log's one scorer found the answer right; None if there are several, or its value is a grade."""
    if not isinstance(scores, dict) or len(scores) != 1:
        return None
    (score,) = scores.values()
    value = score.get("value") if isinstance(score, dict) else None
    return True if value in _RIGHT else False if value in _WRONG else None


def _is_sample(row: Mapping[str, Any]) -> bool:
    return {"id", "epoch", "input", "target"} <= row.keys()


FORMATS = (Format("inspect-log", "log of Inspect", _is_sample, _read),)
