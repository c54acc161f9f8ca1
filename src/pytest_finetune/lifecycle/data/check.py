"""
Checks training, validation and eval files together, in one pass, and returns the problems as findings.

Memory grows by a few hundred bytes per example plus the text kept for near duplicates. Findings are counted exactly;
a limited number of them is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.secret_masking import abbreviated_in
from pytest_finetune.lifecycle.data.answers import EMPTY_CELLS, JsonAnswers, read_answer
from pytest_finetune.lifecycle.data.balance import AllowedLabels, Balance
from pytest_finetune.lifecycle.data.canonical import example_of_case, example_of_row
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.check_result import CheckResult
from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.lifecycle.data.duplicates import EVAL, TRAINING, VALIDATION, DuplicateCheck
from pytest_finetune.lifecycle.data.finding import Finding, FindingLog, Severity
from pytest_finetune.lifecycle.data.labels import choices
from pytest_finetune.lifecycle.data.limits import TokenLimit
from pytest_finetune.lifecycle.data.parity import ParityCheck
from pytest_finetune.lifecycle.data.rows import Row, read_rows
from pytest_finetune.lifecycle.data.safety import Safety
from pytest_finetune.lifecycle.data.shape_check import ShapeCheck
from pytest_finetune.verdicts.evalset.discovery import eval_set_name
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_finetune.lifecycle.data.answers import ReadAnswer
    from pytest_finetune.lifecycle.data.canonical import Example
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.json_schema.validation import Schema

    Watch = Callable[[Iterable[Row | Finding]], Iterator[Row | Finding]]


def check(
    training: Sequence[Path],
    *,
    validation: Sequence[Path] = (),
    evals: Sequence[Path] = (),
    options: CheckOptions | None = None,
    root: Path | None = None,
    watch: Watch = iter,
) -> CheckResult:
    """
    Check files together.

    Args:
        training: Training files in OpenAI's chat format, JSONL.
        validation: Validation files in the same format.
        evals: Eval sets in any supported format, with their settings files.
        options: See `CheckOptions`.
        root: Folder that file names in findings are relative to; by default the current one.
        watch: Passes on the rows of each file, to show progress.

    Raises:
        DataError: A library of the extra `[data]` is not installed, or no answer has the key `label_by`.
    """
    checking = _Checking(options or CheckOptions(), root or Path(), watch)
    return checking.run(training, validation, evals)


class _Checking:
    """The state of one check."""

    def __init__(self, options: CheckOptions, root: Path, watch: Watch) -> None:
        self._options, self._root, self._watch = options, root, watch
        self._log = FindingLog(options.examples, options.codes)
        self._rows: dict[str, int] = {}
        self._safety, self._duplicates = Safety(options.regions), DuplicateCheck(options.similarity, self._log)
        self._tokens = TokenLimit(options.model, options.max_tokens)

    def run(self, training: Sequence[Path], validation: Sequence[Path], evals: Sequence[Path]) -> CheckResult:
        eval_sets = [eval_set for path in evals if (eval_set := self._load(path)) is not None]
        self._parity = ParityCheck(eval_sets, self._options.production)
        self._schema = self._options.schema or _shared_schema(eval_sets)
        name = eval_set_name(training[0], self._root) if training else ""
        self._labels = _labels(self._options, self._schema, eval_sets)
        self._balance = Balance(name, self._labels, self._options.label_by)
        for path in _each_once(training):
            self._check_file(path, TRAINING)
        for path in _each_once(validation):
            self._check_file(path, VALIDATION)
        for eval_set in eval_sets:
            self._check_eval_set(eval_set)
        if training:
            self._balance.close(self._log)
        self._parity.close(self._log)
        self._duplicates.close()
        return CheckResult(tuple(self._log.findings), dict(self._log.counts), self._rows)

    def _load(self, path: Path) -> EvalSet | None:
        try:
            (eval_set,) = load_project_sets([path], root=self._root)
        except EvalSetErrors as errors:
            for fault in errors.merged:
                file, _, line = fault.where.rpartition(":")
                self._log.add(make_finding("eval_set", file, int(line), fault.problem, fault.hint))
            return None
        return eval_set

    def _check_file(self, path: Path, side: int) -> None:
        name = eval_set_name(path, self._root)
        self._rows[name] = 0
        shapes, answers = ShapeCheck(name, self._options.shape), JsonAnswers(name, self._schema)
        for each in self._watch(read_rows(path, name, max_line_bytes=self._options.max_line_bytes)):
            if isinstance(each, Finding):
                self._log.add(each)
                if each.severity is Severity.ERROR and side == TRAINING:
                    self._balance.add_unusable()
                continue
            self._rows[name] += 1
            report = _RowReport(self._log, name, each.line)
            report.secrets = self._safety.check(each.value, report)
            row = shapes.read(each.line, each.value, report, report.secrets)
            if row is not None:
                self._tokens.check(each.value, row, report)
                self._check_example(example_of_row(name, each.line, row), side, answers, report)
            elif side == TRAINING:
                self._balance.add_unusable()
        answers.close(self._log)
        shapes.close(self._log)

    def _check_example(self, example: Example, side: int, answers: JsonAnswers, report: _RowReport) -> None:
        read = None if example.answer is None else read_answer(example.answer)
        # If the labels are known, such an answer is either one of them or an unknown label.
        is_empty_cell = self._labels is None and self._schema is None and example.answer in EMPTY_CELLS
        if read is not None and not is_empty_cell:
            answers.add(example, read, report)
        if is_empty_cell:
            hint = "write the answer, or remove the row; if it is a label, name all labels with --labels"
            report("empty_cell", f"the answer {example.answer!r} may stand for an empty or broken cell", hint)
        if side == TRAINING and (is_empty_cell or "control_token" in report.codes):
            self._balance.add_unusable()
        elif side == TRAINING:
            self._balance.add(example, read, report)
        else:
            self._balance.add_held_out(example, read)
        self._compare(example, side, read, report)

    def _check_eval_set(self, eval_set: EvalSet) -> None:
        tools = eval_set.params.get("tools") or ()
        self._rows[eval_set.name] = len(eval_set.cases)
        for case in eval_set.cases:
            report = _RowReport(self._log, eval_set.name, case.line)
            messages = [message.to_wire() for message in case.messages]
            texts = {"messages": messages, "expected": list(case.expected), "tools": [*map(dict, case.tools)]}
            report.secrets = self._safety.check(texts, report)
            example = example_of_case(eval_set.name, case, tools)
            self._balance.add_held_out(example, None if example.answer is None else read_answer(example.answer))
            self._compare(example, EVAL, None, report)

    def _compare(self, example: Example, side: int, read: ReadAnswer | None, report: _RowReport) -> None:
        self._duplicates.add(example, side, report)
        self._parity.add(example, side, read)


class _RowReport:
    """Logs the findings of one row, with the secrets that were found in it masked."""

    __slots__ = ("_file", "_line", "_log", "codes", "secrets")

    def __init__(self, log: FindingLog, file: str, line: int) -> None:
        self._log, self._file, self._line = log, file, line
        self.secrets: list[str] = []
        self.codes: set[str] = set()

    def __call__(self, code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
        self.codes.add(code)
        if self.secrets:
            problem, hint, path = (abbreviated_in(text, self.secrets) for text in (problem, hint, path))
        self._log.add(make_finding(code, self._file, self._line, problem, hint, path=path, other=other))


def _each_once(paths: Sequence[Path]) -> list[Path]:
    """The files without repetitions: a file named twice would be a duplicate of itself."""
    return list({path.resolve(): path for path in reversed(paths)}.values())[::-1]


def _labels(options: CheckOptions, schema: Schema | None, eval_sets: Sequence[EvalSet]) -> AllowedLabels | None:
    """The labels of the options, or else of the schema, or else of the eval sets with a label scorer."""
    if options.labels:
        return AllowedLabels(tuple(options.labels))
    if options.label_by:
        names = choices(schema.document, options.label_by) if schema else ()
        return AllowedLabels(names, schema=True) if names else None
    scorers = [eval_set.scorer for eval_set in eval_sets if eval_set.scorer.labels]
    if not scorers:
        return None
    return AllowedLabels(
        tuple(dict.fromkeys(name for scorer in scorers for name in scorer.labels)), scorers[0].normalized
    )


def _shared_schema(eval_sets: Sequence[EvalSet]) -> Schema | None:
    """The schema of the eval sets, if all have the same."""
    schemas = {eval_set.schema_sha256: eval_set.scorer.schema for eval_set in eval_sets}
    (schema,) = schemas.values() if len(schemas) == 1 else (None,)
    return schema
