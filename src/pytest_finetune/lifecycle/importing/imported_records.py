"""What an import has read and written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.raw_rows import LeftOuts
from pytest_finetune.lifecycle.importing.foreign import Findings

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Completion, Failure
    from pytest_finetune.verdicts.evalset import EvalSet


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
