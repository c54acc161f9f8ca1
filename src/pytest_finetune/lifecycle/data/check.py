"""
One pass over training, validation and eval files together: everything in them that would hurt, as findings.

Memory grows by a few hundred bytes an example, not by its length, and findings are counted exactly but kept to a limit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.secret_masking import abbreviated
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.answers import JsonAnswers, read_answer
from pytest_finetune.lifecycle.data.balance import Balance, Labels
from pytest_finetune.lifecycle.data.chat_example import example_of_case, example_of_row
from pytest_finetune.lifecycle.data.codes import CODES, found
from pytest_finetune.lifecycle.data.duplicates import EVAL, TRAINING, VALIDATION, Repeats
from pytest_finetune.lifecycle.data.finding import Finding, FindingLog, Severity
from pytest_finetune.lifecycle.data.labels import choices
from pytest_finetune.lifecycle.data.limits import DEFAULT_LIMIT, example_limit
from pytest_finetune.lifecycle.data.near_duplicates import SIMILARITY
from pytest_finetune.lifecycle.data.parity import Honesty
from pytest_finetune.lifecycle.data.personal import REGIONS
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, Row, read_rows
from pytest_finetune.lifecycle.data.safety import Safety
from pytest_finetune.lifecycle.data.structure import ROW_KEYS, check_form
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.lifecycle.data.tools_form import ToolsForm
from pytest_finetune.verdicts.loading import eval_set_name, load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from pytest_finetune.lifecycle.data.answers import ReadAnswer
    from pytest_finetune.lifecycle.data.chat_example import Example
    from pytest_finetune.lifecycle.data.parity import Production
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.json_schema.validation import Schema

    Watch = Callable[[Iterable[Row | Finding]], Iterator[Row | Finding]]

MOST_TOKENS_A_LETTER = 4
"""A token is a byte at least, and a character has four at most: a row this short needs no counting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """
    What is checked, and against what.

    Args:
        codes: Codes that are looked for; all of them where None is given.
        model: The model to be trained; its tokenizer and its limit count tokens.
        max_tokens: Tokens of one example, whatever the model.
        labels: The allowed answers; those of the eval sets where none are given.
        label_by: The key of a JSON answer whose value is the label; empty takes the answers themselves. The labels are
            then `labels`, or what the schema allows this key.
        schema: What every answer must satisfy; that of the eval sets, where they share one, if none is given.
        similarity: Share of letters that near duplicates have in common, in (0, 1].
        regions: Countries whose phone numbers are known without their country code.
        production: What production sends.
        examples: Findings kept of one code in one file; all are counted.
        max_line_bytes: A longer line is not read.
    """

    codes: Collection[str] | None = None
    model: str = ""
    max_tokens: int | None = None
    labels: Sequence[str] = ()
    label_by: str = ""
    schema: Schema | None = None
    similarity: float = SIMILARITY
    regions: Sequence[str] = REGIONS
    production: Production | None = None
    examples: int = 1000
    max_line_bytes: int = MAX_LINE_BYTES


@dataclass(frozen=True, slots=True)
class CheckResult:
    """
    What was found.

    Args:
        findings: Ordered by file, line and code; at most so many of one code in one file as the options say.
        counts: How many there are of each code in each file, kept or not.
        rows: Rows or cases of each file that could be read.
    """

    findings: tuple[Finding, ...]
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def by_code(self) -> dict[str, int]:
        """How many findings of each code, in the order of the table of codes."""
        total: Counter[str] = Counter()
        for (_, code), count in self.counts.items():
            total[code] += count
        return {code: total[code] for code in CODES if total[code]}

    @property
    def by_severity(self) -> dict[Severity, int]:
        """How many findings of each severity, the worst first; none is told too."""
        counts = dict.fromkeys(sorted(Severity, reverse=True), 0)
        for code, count in self.by_code.items():
            counts[CODES[code].severity] += count
        return counts

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; None where nothing was found."""
        return max((CODES[code].severity for code in self.by_code), default=None)


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
        evals: Eval sets in any of their shapes, with the settings beside them.
        options: See `CheckOptions`.
        root: The folder that files are named relative to; the current one where none is given.
        watch: Given the rows of each file, gives them back as they are asked for; there to show how far it is.

    Raises:
        DataError: A library of the extra `[data]` is not installed, or no answer has the key `label_by`.
    """
    checking = _Checking(options or CheckOptions(), root or Path(), watch)
    return checking.run(training, validation, evals)


class _Checking:
    """One check on its way through the files."""

    def __init__(self, options: CheckOptions, root: Path, watch: Watch) -> None:
        self._options, self._root, self._watch = options, root, watch
        self._log = FindingLog(options.examples, options.codes)
        self._rows: dict[str, int] = {}
        self._safety, self._repeats = Safety(options.regions), Repeats(options.similarity, self._log)
        self._tokens = _TokenLimit(options)

    def run(self, training: Sequence[Path], validation: Sequence[Path], evals: Sequence[Path]) -> CheckResult:
        eval_sets = [eval_set for path in evals if (eval_set := self._load(path)) is not None]
        self._honesty = Honesty(eval_sets, self._options.production)
        self._schema = self._options.schema or _shared_schema(eval_sets)
        name = eval_set_name(training[0], self._root) if training else ""
        labels = _labels(self._options, self._schema, eval_sets)
        self._balance = Balance(name, labels, self._options.label_by)
        for path in _each_once(training):
            self._check_file(path, TRAINING)
        for path in _each_once(validation):
            self._check_file(path, VALIDATION)
        for eval_set in eval_sets:
            self._check_eval_set(eval_set)
        if training:
            self._balance.close(self._log)
        self._honesty.close(self._log)
        self._repeats.close()
        return CheckResult(tuple(self._log.findings), dict(self._log.counts), self._rows)

    def _load(self, path: Path) -> EvalSet | None:
        try:
            (eval_set,) = load_eval_sets([path], root=self._root)
        except EvalSetErrors as errors:
            for fault in errors.faults:
                file, _, line = fault.where.rpartition(":")
                self._log.add(found("eval_set", file, int(line), fault.problem, fault.hint))
            return None
        return eval_set

    def _check_file(self, path: Path, side: int) -> None:
        name = eval_set_name(path, self._root)
        self._rows[name] = 0
        tools, answers, keys = ToolsForm(), JsonAnswers(name, self._schema), Counter[str]()
        first: dict[str, int] = {}
        for each in self._watch(read_rows(path, name, max_line_bytes=self._options.max_line_bytes)):
            if isinstance(each, Finding):
                self._log.add(each)
                continue
            self._rows[name] += 1
            say = _RowReport(self._log, name, each.line)
            say.secrets = self._safety.check(each.value, say)
            for key in each.value:
                if key not in ROW_KEYS:
                    keys[say.hide(key)] += 1
                    first.setdefault(say.hide(key), each.line)
            check_form(each.value, say)
            tools.check(each.value, say)
            self._tokens.check(each.value, say)
            self._see(each, side, answers, say)
        answers.close(self._log)
        for key, count in sorted(keys.items()):
            others = f", here and in {count - 1:,} others" if count > 1 else ""
            problem = f"the key {shorten(key)!r} is no part of the chat format{others}"
            hint = "leave it out of the file that is uploaded: prepare does"
            self._log.add(found("unrecognized_key", name, first[key], problem, hint))

    def _see(self, row: Row, side: int, answers: JsonAnswers, say: _RowReport) -> None:
        example = example_of_row(row.file, row.line, row.value)
        if example is None:
            return
        read = None if example.answer is None else read_answer(example.answer)
        if read is not None:
            answers.see(example, read, say)
        if side == TRAINING:
            self._balance.see(example, read, say)
        self._compare(example, side, read, say)

    def _check_eval_set(self, eval_set: EvalSet) -> None:
        tools = eval_set.params.get("tools") or ()
        self._rows[eval_set.name] = len(eval_set.cases)
        for case in eval_set.cases:
            say = _RowReport(self._log, eval_set.name, case.line)
            said = [message.to_wire() for message in case.messages]
            say.secrets = self._safety.check({"messages": said, "expected": list(case.expected)}, say)
            self._compare(example_of_case(eval_set.name, case, tools), EVAL, None, say)

    def _compare(self, example: Example, side: int, read: ReadAnswer | None, say: _RowReport) -> None:
        self._repeats.see(example, side, say)
        self._honesty.see(example, side, read)


class _RowReport:
    """Notes the findings of one row; the secrets that were found in it are shown by none."""

    __slots__ = ("_file", "_line", "_log", "secrets")

    def __init__(self, log: FindingLog, file: str, line: int) -> None:
        self._log, self._file, self._line = log, file, line
        self.secrets: list[str] = []

    def __call__(self, code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
        if self.secrets:
            problem, hint, path = map(self.hide, (problem, hint, path))
        self._log.add(found(code, self._file, self._line, problem, hint, path=path, other=other))

    def hide(self, text: str) -> str:
        """The text with the secrets of this row masked."""
        for secret in self.secrets:
            text = text.replace(secret, abbreviated(secret))
        return text


class _TokenLimit:
    """Counts the tokens of rows that may have too many."""

    def __init__(self, options: CheckOptions) -> None:
        self._limit = options.max_tokens or (example_limit(options.model) if options.model else DEFAULT_LIMIT)
        self._model = options.model

    def check(self, row: dict[str, Any], say: _RowReport) -> None:
        if self._limit is None or _letters(row) * MOST_TOKENS_A_LETTER <= self._limit:
            return
        tokenizer = tokenizer_for(self._model or "gpt-4.1")
        count = tokenizer.count_example(row)
        if count > self._limit:
            about = "" if tokenizer.exact else "about "
            problem = f"{about}{count:,} tokens, {count - self._limit:,} more than an example may have"
            say("too_many_tokens", problem, "shorten it, or part it into several rows", path="$.messages")


def _each_once(paths: Sequence[Path]) -> list[Path]:
    """Files that are named twice, in whatever way, are read once: nothing repeats itself in them."""
    return list({path.resolve(): path for path in reversed(paths)}.values())[::-1]


def _letters(value: Any) -> int:
    """At most how many characters a row has that could be tokens."""
    if type(value) is str:
        return len(value)
    if type(value) is dict:
        return sum(len(key) + _letters(item) + 2 for key, item in value.items())
    return sum(_letters(item) + 2 for item in value) if type(value) is list else 2


def _labels(options: CheckOptions, schema: Schema | None, eval_sets: Sequence[EvalSet]) -> Labels | None:
    """The labels that were named, or else those of the schema or of the eval sets that are scored by label."""
    if options.labels:
        return Labels(tuple(options.labels))
    if options.label_by:
        names = choices(schema.document, options.label_by) if schema else ()
        return Labels(names, schema=True) if names else None
    scorers = [eval_set.scorer for eval_set in eval_sets if eval_set.scorer.labels]
    if not scorers:
        return None
    return Labels(tuple(dict.fromkeys(name for scorer in scorers for name in scorer.labels)), scorers[0].normalized)


def _shared_schema(eval_sets: Sequence[EvalSet]) -> Schema | None:
    """The schema of the eval sets, where they have one and the same."""
    schemas = {eval_set.schema_sha256: eval_set.scorer.schema for eval_set in eval_sets}
    (schema,) = schemas.values() if len(schemas) == 1 else (None,)
    return schema
