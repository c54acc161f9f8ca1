"""Answers that are JSON: each must parse, and satisfy the schema where there is one; a set must not mix its forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.codes import found

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.chat_example import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.lifecycle.data.structure import Say
    from pytest_finetune.verdicts.json_schema.validation import Schema

LEAST, SHARE = 10, 0.8
"""Under one system prompt, so many answers of which such a share is JSON are all meant to be."""

HINT = "write the answer as the model is to write it: one JSON value and nothing around it"

_MOST_PROMPTS, _MOST_KEPT = 100, 1000


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """
    The text of an answer, read as JSON.

    Args:
        value: The object or list; None where the text is none.
        fault: Why the text is no JSON; empty where it is JSON, of whatever type.
    """

    value: dict[str, Any] | list[Any] | None
    fault: str


def read_answer(text: str) -> ReadAnswer:
    """An answer as JSON. A bare number or word that happens to be JSON has no value here: it is as likely a label."""
    try:
        value = parse_json(text)
    except JsonFault as fault:
        return ReadAnswer(None, fault.problem)
    return ReadAnswer(value if type(value) in (dict, list) else None, "")


class _Group:
    """The answers under one system prompt: how many are objects or lists, how many are not, and where those stand."""

    def __init__(self) -> None:
        self.structured = self.plain = 0
        self.places: list[tuple[int, str]] = []


class JsonAnswers:
    """
    Checks the answers of one file.

    Args:
        file: The file.
        schema: What every answer must satisfy; None where nothing is known but what most answers are.
    """

    def __init__(self, file: str, schema: Schema | None) -> None:
        self._file, self._schema = file, schema
        self._groups: dict[str, _Group] = {}

    def see(self, example: Example, read: ReadAnswer, say: Say) -> None:
        """Note what is wrong with one answer, as far as one answer shows it."""
        if self._schema is not None:
            _validate(self._schema, example.answer or "", read, say)
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
        """Where most answers are JSON, those that are not are faults."""
        for group in self._groups.values():
            total = group.structured + group.plain
            if total < LEAST or group.structured < SHARE * total:
                continue
            share = f"{group.structured:,} of {total:,} answers under this system prompt are JSON objects or lists"
            for line, fault in group.places:
                log.add(found("invalid_json_answer", self._file, line, f"{share}; this one is not: {fault}", HINT))
            log.count(self._file, "invalid_json_answer", group.plain - len(group.places))


def _validate(schema: Schema, answer: str, read: ReadAnswer, say: Say) -> None:
    if read.fault:
        say("invalid_json_answer", f"the answer is not JSON: {read.fault}", HINT)
        return
    value = read.value if read.value is not None else parse_json(answer)
    if fault := schema.fault(value):
        problem = f"{fault.path}: {shorten(fault.problem, 160)}"
        say("answer_breaks_schema", problem, "mend the answer, or the schema")
