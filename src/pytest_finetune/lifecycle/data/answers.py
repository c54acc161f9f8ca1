"""JSON answers: each must parse and match the schema, if there is one; a file must not mix JSON with other text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.codes import make_finding

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.canonical import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.lifecycle.data.structure import ReportFinding
    from pytest_finetune.verdicts.json_schema.validation import Schema

LEAST, SHARE = 10, 0.8
"""From this many answers under one system prompt, and this share of JSON among them, all are expected to be JSON."""

EMPTY_CELLS = frozenset(
    (
        *("nan", "NaN", "NaT", "<NA>", "<noinput>", "<nooutput>", "None", "NULL", "null", "N/A", "n/a", "NA"),
        *("#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"),
        # Excel's in German, French and Spanish.
        *("#WERT!", "#BEZUG!", "#NV", "#ZAHL!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#¡VALOR!", "#¡REF!", "#¿NOMBRE?"),
    )
)
"""What dataframes and spreadsheets write for a cell that is empty, or whose formula failed."""

HINT = "the answer must be one JSON value, with no text around it"

# System prompts counted separately, and locations kept for each: together they bound memory.
_MOST_PROMPTS, _MOST_KEPT = 100, 1000


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """
    The text of an answer, parsed as JSON.

    Args:
        value: The object or list; None if the text is neither.
        fault: Why the text is not JSON; empty for JSON of any type.
    """

    value: dict[str, Any] | list[Any] | None
    fault: str


def read_answer(text: str) -> ReadAnswer:
    """Parse an answer as JSON. A number or word that is valid JSON has no value here, because it may be a label."""
    try:
        value = parse_json(text)
    except JsonFault as fault:
        return ReadAnswer(None, fault.problem)
    return ReadAnswer(value if type(value) in (dict, list) else None, "")


class _Group:
    """Counts of the answers under one system prompt, and the locations of those that are not objects or lists."""

    def __init__(self) -> None:
        self.structured = self.plain = 0
        self.places: list[tuple[int, str]] = []


class JsonAnswers:
    """
    Checks the answers of one file.

    Args:
        file: Name of the file in findings.
        schema: Schema of every answer; None compares the answers with each other.
    """

    def __init__(self, file: str, schema: Schema | None) -> None:
        self._file, self._schema = file, schema
        self._groups: dict[str, _Group] = {}

    def add(self, example: Example, read: ReadAnswer, report: ReportFinding) -> None:
        """Check one answer against the schema, or count it for the comparison in `close`."""
        if self._schema is not None:
            _validate(self._schema, example.answer or "", read, report)
            return
        known = example.system in self._groups or len(self._groups) < _MOST_PROMPTS
        group = self._groups.setdefault(example.system if known else "", _Group())
        if read.value is not None:
            group.structured += 1
            return
        group.plain += 1
        if len(group.places) < _MOST_KEPT:
            group.places.append((example.line, read.fault or "it is neither an object nor a list"))

    def close(self, log: FindingLog) -> None:
        """If most answers are JSON, report those that are not."""
        for group in self._groups.values():
            total = group.structured + group.plain
            if total < LEAST or group.structured < SHARE * total:
                continue
            share = f"{group.structured:,} of {total:,} answers under this system prompt are JSON objects or lists"
            for line, fault in group.places:
                log.add(
                    make_finding("invalid_json_answer", self._file, line, f"{share}; this one is not: {fault}", HINT)
                )
            log.count(self._file, "invalid_json_answer", group.plain - len(group.places))


def _validate(schema: Schema, answer: str, read: ReadAnswer, report: ReportFinding) -> None:
    if read.fault:
        report("invalid_json_answer", f"the answer is not JSON: {read.fault}", HINT)
        return
    value = read.value if read.value is not None else parse_json(answer)
    if fault := schema.fault(value):
        problem = f"{fault.path}: {shorten(fault.problem, 160)}"
        report("answer_breaks_schema", problem, "fix the answer or the schema")
