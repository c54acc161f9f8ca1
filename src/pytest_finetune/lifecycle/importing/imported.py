"""Imports a foreign file: an eval set with its settings, and one recorded run for each model that answered it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.records import Completion
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.evaluation.targets.answers import read_recorded
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts
from pytest_finetune.lifecycle.data.writing import refuse_existing, refuse_own_source
from pytest_finetune.lifecycle.importing.foreign import Findings, ForeignCase
from pytest_finetune.lifecycle.importing.publishing import private_folder, publish
from pytest_finetune.lifecycle.importing.source import read_source, with_format
from pytest_finetune.lifecycle.importing.toml import settings_toml
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from pytest_finetune.base.records import Failure
    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.foreign import Format, ImportOptions, RecordedAnswer
    from pytest_finetune.verdicts.evalset import EvalSet

_NO_GATES = """
# An eval set without gates requires every case to pass. Write down what this model must reach:
# [[gates]]
# metric = "accuracy"
# min = 0.9
# confidence = 0.95
"""


@dataclass(slots=True)
class SourceRun:
    """
    The recorded answers of one run of the source.

    Args:
        answers: By case id, in the order of the file.
        passed: By case id and 0-based repeat: the results of the source's own graders, if the file has them.
        models: How often each model name appears in the answers.
    """

    answers: dict[str, list[Completion | Failure]] = field(default_factory=dict)
    passed: dict[tuple[str, int], bool] = field(default_factory=dict)
    models: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Imported:
    """
    What was read and written.

    Args:
        source: The foreign file.
        target: The eval set.
        format: Name of the source's format.
        cases: Number of cases.
        skipped: Rows that could not be carried over.
        findings: Settings, notes, and what else was not carried over.
        answers: The recorded answers, by the source's name of their run.
        eval_set: The set that was written.
    """

    source: Path
    target: Path
    format: str = ""
    cases: int = 0
    skipped: LeftOuts = field(default_factory=LeftOuts)
    findings: Findings = field(default_factory=Findings)
    answers: dict[str, SourceRun] = field(default_factory=dict)
    eval_set: EvalSet | None = field(default=None, repr=False)

    @property
    def schema_file(self) -> Path:
        """The JSON Schema next to the eval set, if the source has one."""
        return self.target.with_suffix(".schema.json")

    @property
    def settings_file(self) -> Path:
        """The settings next to the eval set."""
        return self.target.with_suffix(".toml")


def import_file(source: Path, options: ImportOptions, *, target: Path, form: str = "", force: bool = False) -> Imported:
    """
    Write a foreign file as an eval set: both files appear, valid, or none.

    Args:
        source: JSONL, JSON, CSV or YAML.
        options: How rows become cases.
        target: The eval set to write, `NAME.jsonl`; its settings are written next to it.
        form: Name of the format; empty finds it by the first row.
        force: Overwrite existing files.

    Raises:
        DataError: The source cannot be read, no row can be carried over, or the target cannot be written.
    """
    if target.suffix != ".jsonl":
        raise DataError("an eval set is a .jsonl file", str(target), f"write {target.with_suffix('.jsonl').name}")
    imported = Imported(source, target)
    refuse_own_source(source, [target, imported.settings_file])
    for path in (target, imported.settings_file, imported.schema_file):
        refuse_existing(path, force=force)
    found, rows = with_format(read_source(source), source, form)
    imported.format = found.name
    _refuse_unused(options, found)
    with private_folder(target) as folder:
        written = folder / target.name
        with written.open("wb") as file:
            writer = _Writer(file, imported)
            skip = lambda line, reason: imported.skipped.add(LeftOut(line, reason))  # noqa: E731 - one call
            for case in found.read(_only_rows(rows, imported), options, imported.findings, skip):
                writer.write(case)
        if not imported.cases:
            raise imported.skipped.nothing_left(source)
        writer.complete_settings()
        if imported.findings.schema is not None:
            schema = compact_json(imported.findings.schema).encode()
            (folder / imported.schema_file.name).write_bytes(schema + b"\n")
            imported.findings.settings["schema"] = imported.schema_file.name
        lines = [f"# Imported from {source.name} ({found.title}).", *settings_toml(imported.findings.settings)]
        lines += _write_graders(imported, folder, force=force)
        written.with_suffix(".toml").write_text("\n".join(lines) + "\n" + _NO_GATES, encoding="utf-8")
        imported.eval_set = publish(folder, target)
    return imported


class _Writer:
    """Writes cases, each with an id of its own, and keeps their answers."""

    def __init__(self, file: BinaryIO, imported: Imported) -> None:
        self._file, self._imported = file, imported
        self._faults = Faults("")
        self._reader = CaseReader(self._faults)
        self._ids: set[str] = set()
        self._of_key: dict[str, str] = {}
        self._expected: Counter[str] = Counter()

    def write(self, found: ForeignCase) -> None:
        name = self._of_key.get(found.key, "") if found.key else ""
        if not name:
            name = self._write_new(found)
            if not name:
                return
            if found.key:
                self._of_key[found.key] = name
        for answer in found.answers:
            self._keep(name, answer)

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
            written = compact_json(case).encode() + b"\n"
        except UnicodeEncodeError:
            # JSON can escape half of a character, which no file in UTF-8 can hold.
            self._imported.skipped.add(LeftOut(found.line, "it has half of a surrogate pair, which is not text"))
            return ""
        before = len(self._faults.found)
        read = self._reader.read(found.line, case)
        if read is None:
            self._imported.skipped.add(LeftOut(found.line, self._faults.found[before].problem))
            return ""
        self._ids.add(name)
        self._expected[
            "tool_call" if read.tool_calls else "json" if all(map(_is_json, read.expected)) else "exact"
        ] += 1
        self._file.write(written)
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


def _write_graders(imported: Imported, folder: Path, *, force: bool) -> Iterator[str]:
    """Write the Python graders into the folder; yields the comments of the settings that say how to use them."""
    for grader in imported.findings.python_graders:
        module = grader.module(imported.target.stem)
        path = imported.target.with_name(f"{module}.py")
        refuse_existing(path, force=force)
        (folder / path.name).write_text(grader.code(imported.target.name), encoding="utf-8")
        use = f'scorer = "{module}:passes"'
        imported.findings.note(
            f"the Python grader {grader.name!r} is in {path} and was not run; read it, then set {use}"
        )
        yield f"# The Python grader {grader.name!r}, once you have read {path.name}: {use}"


_LONGEST_ID = 190


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


def _refuse_unused(options: ImportOptions, form: Format) -> None:
    for name, flag in _FLAGS.items():
        if getattr(options, name) and name not in form.options:
            raise DataError(f"{flag} has no use here: the file is {form.title}", "", "leave it out")


_FLAGS = {
    "prompt": "--prompt",
    "expected": "--expected",
    "config": "--config",
    "choices": "--choices",
    "others": "--with",
}


def _only_rows(rows: Iterator[Row | LeftOut], imported: Imported) -> Iterator[Row]:
    for each in rows:
        if isinstance(each, LeftOut):
            imported.skipped.add(each)
        else:
            yield each
