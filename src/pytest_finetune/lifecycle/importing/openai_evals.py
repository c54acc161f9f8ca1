"""OpenAI's Evals: data files, the dashboard's results, and dumps of the API."""

from __future__ import annotations

import marshal
from array import array
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json, type_name
from pytest_finetune.lifecycle.importing.answers import expecting_recorded, plain_messages, sample_answer
from pytest_finetune.lifecycle.importing.foreign import (
    RECORDED,
    ForeignCase,
    Format,
    NotCarried,
    all_passed,
    described,
    each_row,
    fitting,
    object_of,
)
from pytest_finetune.lifecycle.importing.graders import carry_graders
from pytest_finetune.lifecycle.importing.parameters import SharedParameters
from pytest_finetune.lifecycle.importing.python_graders import ITEM
from pytest_finetune.lifecycle.importing.templates import render, value_of, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions, RecordedAnswer

    _Skip = Callable[[int, str], None]

_NO_PROMPT = "the file has no prompt: set it with --prompt or --config"
_NO_ANSWER = "the file has no expected answer: set it with --expected or --config"
_DESCRIBING = ("id", "tags")


class _Eval:
    """The definition of an eval: what is sent for an item, and what is expected."""

    def __init__(self, options: ImportOptions, findings: Findings) -> None:
        self._options, self._findings = options, findings
        eval_, run = _parts(options.config)
        self._source = object_of(run.get("data_source"))
        self._graders = carry_graders(eval_.get("testing_criteria"), options.expected, findings)
        self._expected = options.expected or self._graders.reference
        # A grader compares texts; what --expected names keeps its JSON value.
        self._as_text = not options.expected
        self.parameters = SharedParameters()
        self.parameters.see(object_of(self._source.get("sampling_params")))

    def case(
        self, item: Mapping[str, Any], answers: Sequence[RecordedAnswer] = (), *, sent: object = None
    ) -> dict[str, Any]:
        """
        The line of an eval set for an item.

        Args:
            item: The row of the eval's data.
            answers: The answers recorded for it.
            sent: The messages that were sent, if the file records them.

        Raises:
            NotCarried: The prompt or the expected answer is not known.
        """
        messages, used = self._prompt(item) if sent is None or self._options.prompt else (plain_messages(sent), set())
        case: dict[str, Any] = {key: item[key] for key in _DESCRIBING if item.get(key) not in (None, "", [])}
        case["input"] = messages
        if not self._expected:
            raise NotCarried(_NO_ANSWER)
        if self._expected == RECORDED:
            case = expecting_recorded(case, answers)
        else:
            case["expected"] = [self._value(self._expected, item, as_text=self._as_text)]
            used |= variables(self._expected)
        if isinstance(item.get("tools"), list) and item["tools"]:
            case["tools"] = item["tools"]
        expected = {key: self._value(each, item, as_text=True) for key, each in self._graders.others.items()}
        metadata = described(item, {*used, *_DESCRIBING, "tools"}).get("metadata", {}) | expected
        if self._findings.python_graders:
            metadata[ITEM] = dict(item)
        return case | ({"metadata": metadata} if metadata else {})

    @staticmethod
    def _value(template: str, item: Mapping[str, Any], *, as_text: bool) -> object:
        value = value_of(template, item)
        if not as_text or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise NotCarried(f"the grader compares texts, and its reference is {type_name(value)}: name it with --expected")

    def _prompt(self, item: Mapping[str, Any]) -> tuple[list[dict[str, Any]], set[str]]:
        """The messages, and the fields of the item that they show."""
        if self._options.prompt:
            return [{"role": "user", "content": render(self._options.prompt, item)}], variables(self._options.prompt)
        given = object_of(self._source.get("input_messages"))
        template = given.get("template")
        if isinstance(template, list):
            parts = list(map(object_of, template))
            messages = [{"role": each.get("role", "user"), "content": _content(each)} for each in parts]
            used = {name for each in messages for name in variables(each["content"])}
            return [each | {"content": render(each["content"], item)} for each in messages], used
        reference = str(given.get("item_reference", "")).removeprefix("item.")
        for key in (reference, "messages", "input"):
            if key and item.get(key):
                value = item[key]
                return ([{"role": "user", "content": value}] if isinstance(value, str) else plain_messages(value)), {
                    key
                }
        raise NotCarried(_NO_PROMPT)


def _parts(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The eval and the run of a definition, which may be either of them alone."""
    eval_, run = config.get("eval"), config.get("run")
    return (eval_ if isinstance(eval_, dict) else config), (run if isinstance(run, dict) else config)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, dict):
        content = content.get("text")
    if not isinstance(content, str):
        raise NotCarried("the template of the prompt has a part that is not text")
    return content


def _read_data(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    definition = _Eval(options, findings)

    def convert(row: Row) -> ForeignCase:
        item, sample = row.value["item"], row.value.get("sample")
        answers = (sample_answer("", sample),) if isinstance(sample, dict) and sample else ()
        return ForeignCase(row.line, definition.case(item, answers), answers)

    yield from each_row(fitting(rows, _is_data, skip), convert, skip)
    definition.parameters.add_to(findings)


def _read_results(
    rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip
) -> Iterator[ForeignCase]:
    definition = _Eval(options, findings)

    def convert(row: Row) -> ForeignCase:
        value = row.value
        item, sample, passes = value["item"], value.get("sample"), value.get("passes")
        # A row without `passes` is not a success: nothing is known.
        passed = all_passed(passes.values()) if isinstance(passes, dict) else None
        run = str(value["run_id"])
        answers = (sample_answer(run, sample, passed=passed),) if isinstance(sample, dict) and sample else ()
        key = f"{value['data_source_idx']}-{sha256(canonical_json(item).encode()).hexdigest()[:12]}"
        return ForeignCase(row.line, definition.case(item, answers), answers, key)

    yield from each_row(fitting(rows, _is_result, skip), convert, skip)
    definition.parameters.add_to(findings)


class OutputItems(list[Any]):
    """
    The output items of a dump in a temporary file, from which they are read once.

    Args:
        file: Where `keep` writes them while the dump is parsed: as objects, 100,000 of them take half a gigabyte.
    """

    _MARK = b""
    """In the place of an item: no value of JSON is bytes."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._sizes = array("Q")

    def keep(self, value: dict[str, Any]) -> dict[str, Any] | bytes:
        """The mark of an output item; other objects as they are."""
        if "datasource_item" not in value:
            return value
        self._sizes.append(self._file.write(marshal.dumps(value)))
        return self._MARK

    @property
    def kept(self) -> int:
        """How many items are in the file."""
        return len(self._sizes)

    def put_into(self, dump: object) -> bool:
        """Take the place of the marks in a dump; False if they are not its output items, or not alone there."""
        marks = object_of(dump).get("output_items")
        if not isinstance(marks, list) or not isinstance(dump, dict):
            return False
        if self.kept != sum(each is self._MARK for each in marks):
            return False
        self._file.seek(0)
        self[:] = marks
        dump["output_items"] = self
        return True

    def __iter__(self) -> Iterator[Any]:
        """Each item; afterwards the file is closed."""
        sizes = iter(self._sizes)
        with self._file as file:
            for each in super().__iter__():
                yield marshal.loads(file.read(next(sizes))) if each is self._MARK else each  # noqa: S302 - our own bytes


def _read_dump(rows: Iterable[Row], options: ImportOptions, findings: Findings, skip: _Skip) -> Iterator[ForeignCase]:
    for row in fitting(rows, _is_dump, skip):
        definition = _Eval(_configured(options, row.value), findings)
        run = row.value["run"]
        for number, item in enumerate(row.value["output_items"], 1):
            try:
                yield _dumped(item, run, definition, row.line)
            except NotCarried as reason:
                skip(row.line, f"output item {number}: {reason}")
        definition.parameters.add_to(findings)


def _configured(options: ImportOptions, dump: Mapping[str, Any]) -> ImportOptions:
    return options if options.config else replace(options, config={"eval": dump.get("eval"), "run": dump.get("run")})


def _dumped(output: object, run: Mapping[str, Any], definition: _Eval, line: int) -> ForeignCase:
    if not isinstance(output, dict) or not isinstance(output.get("datasource_item"), dict):
        raise NotCarried("it has no datasource_item")
    item = {key: value for key, value in output["datasource_item"].items() if not key.startswith("sample.")}
    sample = object_of(output.get("sample"))
    if not sample and (text := output["datasource_item"].get("sample.output_text")) is not None:
        sample = {"output": [{"role": "assistant", "content": text}]}
    results = output.get("results")
    passed = all_passed(object_of(each).get("passed") for each in results) if isinstance(results, list) else None
    answers = (sample_answer(str(run.get("id", "")), sample, model=run.get("model"), passed=passed),) if sample else ()
    case = definition.case(item, answers, sent=sample.get("input") or None)
    key = f"{output.get('datasource_item_id', '')}-{sha256(canonical_json(item).encode()).hexdigest()[:12]}"
    return ForeignCase(line, case, answers, key)


def _is_data(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("item"), dict) and row.keys() <= {"item", "sample"}


def _is_result(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("item"), dict) and {"run_id", "data_source_idx"} <= row.keys()


def _is_dump(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("output_items"), list) and isinstance(row.get("run"), dict)


_OPTIONS = frozenset({"prompt", "expected", "config"})
FORMATS = (
    Format("openai-evals", "data file of OpenAI's Evals", _is_data, _read_data, _OPTIONS),
    Format("openai-results", "results of OpenAI's Evals dashboard", _is_result, _read_results, _OPTIONS),
    Format("openai-dump", "eval, run and output items of OpenAI's Evals API", _is_dump, _read_dump, _OPTIONS),
)
