"""Copies of a run's eval sets, kept with its answers so that a record stays readable when the files change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_finetune.base.files import copy_file, write_file
from pytest_finetune.verdicts.evalset.discovery import eval_set_name
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects
from pytest_finetune.verdicts.evalset.request_form import APIS
from pytest_finetune.verdicts.evalset.settings_file import read_settings
from pytest_finetune.verdicts.evalset.settings_hash import settings_sha256
from pytest_finetune.verdicts.scoring import scorer_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan
    from pytest_finetune.evaluation.runs.run import Run
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

FOLDER = "eval_sets"
"""Folder of the copies within a run's folder, laid out like the sets below the root."""


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """
    What is still known of an eval set that a run used.

    Args:
        cases: Those of the plan, verified by hash; None if they are missing or have changed.
        settings: Those of the plan; None if they are missing or have changed.
        problem: Why the cases are missing, in one clause; empty if they are not.
    """

    cases: tuple[Case, ...] | None
    settings: EvalSettings | None
    problem: str = ""


def keep_copies(run: Run, eval_sets: Iterable[EvalSet], *, root: Path) -> None:
    """
    Copy each set's cases, settings and schemas into the run's folder, byte for byte; existing copies are kept.

    A file that cannot be copied is skipped: the record is complete without it, and `recorded_set` reports that.
    Modules of scoring functions are the user's code and are not copied.
    """
    for eval_set in eval_sets:
        for source in _files_of(eval_set):
            copy = _place(run, eval_set_name(source, root))
            try:
                if copy.exists():
                    continue
                if eval_set.settings_text is not None and source.suffix == ".toml":
                    _write(eval_set.settings_text, copy)
                else:
                    _copy(source, copy)
            except OSError:
                # A full or read-only disk is reported where the answers are written.
                continue


def recorded_set(run: Run, plan: EvalSetPlan, *, root: Path) -> RecordedSet:
    """
    The cases and settings of a plan: the run's copy, or else the current file if its hash matches.

    Args:
        run: The record.
        plan: One of its eval sets.
        root: The folder that the set's name is relative to, for records without copies.
    """
    copy, today = _place(run, plan.name), root / plan.name
    settings = _settings(copy, plan, own=True) or _settings(today, plan)
    for place in (copy, today):
        if (cases := _cases(place, plan)) is not None:
            return RecordedSet(cases, settings)
    what = "has changed since" if today.is_file() else "no longer exists"
    return RecordedSet(None, settings, f"the record has no copy of {plan.name}, and the file {what}")


def groups_of_cases(run: Run, plan: EvalSetPlan) -> dict[str, str]:
    """The group of each case that is in one, by id, from the run's copy of the set; empty if it has no copy."""
    copy = _place(run, plan.name)
    try:
        if b'"group"' not in copy.read_bytes():
            return {}
    except OSError:
        return {}
    return {case.id: case.group for case in _cases(copy, plan) or () if case.group}


def _files_of(eval_set: EvalSet) -> Iterator[Path]:
    yield eval_set.path
    yield eval_set.path.with_suffix(".toml")
    for name in eval_set.settings.schema_files:
        yield eval_set.path.parent / name


def _place(run: Run, name: str) -> Path:
    """Path of a file's copy; a file outside the root is also copied into the run's folder."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
    safe = ["_up" if part == ".." else part.replace(":", "_").replace("\\", "_") for part in parts]
    return run.path.joinpath(FOLDER, *safe)


def _write(data: bytes, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_file(copy, data, private=True)


def _copy(source: Path, copy: Path) -> None:
    if not source.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy_file(source, copy)


def _cases(path: Path, plan: EvalSetPlan) -> tuple[Case, ...] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    faults = Faults(plan.name)
    reader = CaseReader(faults)
    found = [reader.read(line, value) for line, value in read_objects(data, faults)]
    cases = tuple(case for case in found if case is not None)
    return cases if not faults.found and reader.cases_sha256() == plan.cases_sha256 else None


def _settings(path: Path, plan: EvalSetPlan, *, own: bool = False) -> EvalSettings | None:
    toml = path.with_suffix(".toml")
    if not path.exists():
        return None
    try:
        data = toml.read_bytes() if toml.exists() else b""
    except OSError:
        return None
    settings, _ = read_settings(data, Faults(toml.name))
    if settings is None:
        return None
    # The hash of the settings covers the scorer's code, which is not in the run and may have changed.
    unhashed = own and any(scorer_class(each.scorer).fingerprinted for _, _, each in settings.each_scorer())
    hashes = (settings_sha256(settings, api=api) for api in (None, *APIS))
    return settings if unhashed or plan.settings_sha256 in hashes else None
