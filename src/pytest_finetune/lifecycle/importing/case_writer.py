"""Writes the cases of a foreign file, each with an id of its own, and keeps their recorded answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.records import Completion
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.evaluation.targets.answers import read_recorded
from pytest_finetune.lifecycle.data.raw_rows import LeftOut
from pytest_finetune.lifecycle.importing.imported_records import SourceRun
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults, LineFault, read_object
from pytest_finetune.verdicts.loading import ReadCases

if TYPE_CHECKING:
    from typing import BinaryIO

    from pytest_finetune.base.records import Case
    from pytest_finetune.lifecycle.importing.foreign import ForeignCase, RecordedAnswer
    from pytest_finetune.lifecycle.importing.imported_records import Imported

_LONGEST_ID = 190


class CaseWriter:
    """Writes cases, each with an id of its own, and keeps their answers."""

    def __init__(self, file: BinaryIO, imported: Imported) -> None:
        self._file, self._imported = file, imported
        self._faults = Faults("")
        self._reader = CaseReader(self._faults)
        self._cases: list[Case] = []
        self._ids: set[str] = set()
        self._of_key: dict[str, str] = {}
        self._expected: Counter[str] = Counter()

    def write(self, found: ForeignCase) -> None:
        """Write a case unless it is the same as an earlier one, and keep its answers."""
        name = self._of_key.get(found.key, "") if found.key else ""
        if not name:
            name = self._write_new(found)
            if not name:
                return
            if found.key:
                self._of_key[found.key] = name
        for answer in found.answers:
            self._keep(name, answer)

    @property
    def read(self) -> ReadCases:
        """The cases as they were written."""
        return ReadCases(self._reader, tuple(self._cases))

    def complete_settings(self) -> None:
        """Choose the scorer by the expected answers, if no grader has, and the number of repeats."""
        settings = self._imported.findings.settings
        if "scorer" not in settings and "scorers" not in settings and len(self._expected) == 1:
            (kind,) = self._expected
            if kind != "exact":
                settings["scorer"] = kind
        elif not {"scorer", "scorers"} & settings.keys() and "tool_call" in self._expected:
            self._imported.findings.note("some cases expect calls and others text: one scorer cannot judge both")
        most = max((len(one) for run in self._imported.answers.values() for one in run.answers.values()), default=1)
        if most > 1:
            settings["stability"] = {"repeats": most}
        if broken := max((self._broken(run) for run in self._imported.answers.values()), default=0):
            settings["max_errors"] = broken
            self._imported.findings.note(f"max_errors = {broken}: a recorded run lacks that many answers")

    def _broken(self, run: SourceRun) -> int:
        """Number of planned samples without an answer."""
        repeats = self._imported.findings.settings.get("stability", {}).get("repeats", 1)
        answered = sum(isinstance(one, Completion) for answers in run.answers.values() for one in answers)
        return int(self._imported.cases * repeats - answered)

    def _write_new(self, found: ForeignCase) -> str:
        """The id of the case; empty if the case is not valid."""
        name = self._free_id(found.case.get("id"))
        case = {"id": name, **{key: value for key, value in found.case.items() if key != "id"}}
        try:
            written = compact_json(case).encode()
            # As the eval set will be read, so that it need not be read again.
            value = read_object(written)
        except UnicodeEncodeError:
            # JSON can escape half of a character, which no file in UTF-8 can hold.
            self._imported.skipped.add(LeftOut(found.line, "it has half of a surrogate pair, which is not text"))
            return ""
        except LineFault as fault:
            self._imported.skipped.add(LeftOut(found.line, fault.problem))
            return ""
        before = len(self._faults.found)
        read = self._reader.read(self._imported.cases + 1, value)
        if read is None:
            self._imported.skipped.add(LeftOut(found.line, self._faults.found[before].problem))
            return ""
        self._ids.add(name)
        self._expected[
            "tool_call" if read.tool_calls else "json" if all(map(_is_json, read.expected)) else "exact"
        ] += 1
        self._file.write(written + b"\n")
        self._cases.append(read)
        self._imported.cases += 1
        return name

    def _free_id(self, given: object) -> str:
        name = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
        if not name or not name.isprintable() or "::" in name or len(name) > _LONGEST_ID:
            name = f"case-{self._imported.cases + 1}"
        free, number = name, 2
        while free in self._ids:
            free, number = f"{name}-{number}", number + 1
        return free

    def _keep(self, name: str, answer: RecordedAnswer) -> None:
        run = self._imported.answers.setdefault(answer.run, SourceRun())
        outcome = read_recorded(answer.status, answer.body)
        run.answers.setdefault(name, []).append(outcome)
        run.models[getattr(outcome, "model", "")] += 1
        if answer.passed is not None:
            run.passed[name, len(run.answers[name]) - 1] = answer.passed


def _is_json(expected: object) -> bool:
    """Whether an expected answer is a JSON object or list, or a value that is not text."""
    if isinstance(expected, str):
        # Most answers are plain text, and a parser that fails takes long.
        if not expected.lstrip().startswith(("{", "[")):
            return False
        try:
            return isinstance(parse_json(expected), dict | list)
        except JsonFault:
            return False
    return isinstance(expected, dict | list | bool | int | float)
