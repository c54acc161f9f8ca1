"""Loads eval sets from files; all errors in all files are reported together, each with its line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import escape
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import EvalSetError, EvalSetErrors
from pytest_finetune.verdicts.checks import settings_faults, settings_warnings
from pytest_finetune.verdicts.evalset.copies import copies_in, copy_warnings, number_copies, same_requests
from pytest_finetune.verdicts.evalset.eval_set import EvalSet, joint_fingerprint
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.project import configured_api
from pytest_finetune.verdicts.evalset.reading import read_objects
from pytest_finetune.verdicts.evalset.request_params import own_params, request_params
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.evalset.settings_file import read_settings
from pytest_finetune.verdicts.evalset.settings_hash import schema_sha256, settings_sha256
from pytest_finetune.verdicts.response_schemas import read_response_schema
from pytest_finetune.verdicts.set_faults import SetFaults, file_hint, read_file
from pytest_finetune.verdicts.set_scorers import make_scorers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.request_form import Api
    from pytest_finetune.verdicts.evalset.settings import RequestSettings
    from pytest_finetune.verdicts.set_scorers import SetScorers


@dataclass(frozen=True, slots=True)
class ReadCases:
    """The cases of a file, each with an id of its own, and the reader that has read all its lines."""

    reader: CaseReader
    cases: tuple[Case, ...]


def load_eval_sets(
    paths: Sequence[Path],
    *,
    root: Path,
    repeats: int | None = None,
    api: Api | None = None,
    settings: Mapping[Path, bytes] = MappingProxyType({}),
    read: Mapping[Path, ReadCases] = MappingProxyType({}),
) -> list[EvalSet]:
    """
    The eval sets of some JSONL files, in the order of the files.

    Args:
        paths: The JSONL files; settings are read from the TOML file of the same name.
        root: The folder that the sets' names are relative to.
        repeats: Requests per case; overrides `[stability]`.
        api: The API that all requests are sent to; overrides `[request]`.
        settings: By JSONL file, TOML to read instead of its settings file.
        read: By JSONL file, its cases, if they have been read already.

    Raises:
        EvalSetErrors: All faults of all files.
        EvalSetError: `repeats` is below 1: nothing would be asked.
    """
    if repeats is not None and repeats < 1:
        raise EvalSetError(f"repeats is {repeats}", hint="every case is requested at least once")
    loads = [_Loading(path, root, repeats, api, settings=settings.get(path), read=read.get(path)) for path in paths]
    sets = [loading.load() for loading in loads]
    faults = [fault for loading in loads for fault in loading.faults.found]
    if faults:
        raise EvalSetErrors(faults)
    return number_copies([eval_set for eval_set in sets if eval_set is not None])


def load_project_sets(paths: Sequence[Path], *, root: Path) -> list[EvalSet]:
    """
    The eval sets of some JSONL files with the API that the project's configuration demands, whatever a session chose.

    Raises:
        EvalSetErrors: All faults of all files.
        EvalSetError: The project's configuration cannot be read.
    """
    return load_eval_sets(paths, root=root, api=configured_api(root))


def _repeated(settings: EvalSettings, repeats: int) -> EvalSettings:
    stability = settings.stability.model_copy(update={"repeats": repeats})
    return settings.model_copy(update={"stability": stability})


class _Loading:
    """Loads one eval set with its settings and collects their faults."""

    def __init__(
        self,
        path: Path,
        root: Path,
        repeats: int | None,
        api: Api | None,
        *,
        settings: bytes | None,
        read: ReadCases | None,
    ) -> None:
        self.path, self.folder, self.repeats, self.api = path, path.parent, repeats, api
        self._given = settings
        self.toml = path.with_suffix(".toml")
        self.faults = SetFaults(path, root)
        self._read = read
        self._reader = CaseReader(self.faults.lines) if read is None else read.reader

    def load(self) -> EvalSet | None:
        written = self._settings()
        settings = written if written is None or self.repeats is None else _repeated(written, self.repeats)
        scorers = None if settings is None else make_scorers(settings, self.folder, self.faults)
        cases = self._cases(scorers)
        if settings is None or written is None:
            return None
        params = request_params(settings, self._response_schema(settings.request, ("request",)))
        own = [
            (pattern, own_params(each, self._response_schema(each.request, ("models", pattern, "request"))))
            for pattern, each in settings.models.items()
        ]
        if scorers is not None and not self.faults.lines.found:
            for fault in settings_faults(settings, cases, is_overridden=self.repeats is not None):
                self.faults.add_at(fault.path, fault.problem, fault.hint)
            scorers.add_faults(cases, self.faults)
        if scorers is None or self.faults.found:
            return None
        repeated = same_requests(cases)
        return EvalSet(
            name=self.faults.lines.name,
            path=self.path,
            cases=cases,
            settings=settings,
            scorer=scorers.scorer,
            cases_sha256=self._reader.cases_sha256(),
            settings_sha256=settings_sha256(written, joint_fingerprint(scorers.scorer, scorers.others), self.api),
            schema_sha256=schema_sha256(settings, self.folder),
            warnings=(
                *dict.fromkeys((*scorers.warnings, *self.faults.warnings)),
                *settings_warnings(settings, self._reader.unsent),
                *copy_warnings(repeated, len(cases)),
            ),
            params=params,
            own_params=own,
            api=self.api,
            others=scorers.calibrated_others(self.path, settings),
            judge=scorers.calibration(self.path, settings),
            copies=copies_in(repeated),
        )

    def _settings(self) -> EvalSettings | None:
        keys = self.faults.keys
        if self._given is not None:
            given, self.faults.text = read_settings(self._given, keys)
            return given
        # A broken link is a fault, not a set without settings.
        if not os.path.lexists(self.toml):
            siblings = self.folder.glob(f"{escape(self.path.stem)}.*")
            for other in (each for each in siblings if each.suffix.lower() == ".toml"):
                keys.add(f"{other.name} is not read as the settings", f"rename it to {self.toml.name}")
            return EvalSettings()
        data = read_file(self.toml, keys)
        if data is None:
            return None
        settings, self.faults.text = read_settings(data, keys)
        return settings

    def _cases(self, scorers: SetScorers | None) -> tuple[Case, ...]:
        lines = self.faults.lines
        if self._read is not None:
            for known in self._read.cases:
                lines.line = known.line
                self._check(known, scorers)
            return self._read.cases
        if not os.path.lexists(self.path) and self.toml.exists():
            problem = f"these are the settings of {self.path.name}, which does not exist"
            self.faults.keys.add(problem, file_hint(self.path))
            return ()
        data = read_file(self.path, lines)
        if data is None:
            return ()
        cases: dict[str, Case] = {}
        for line, value in read_objects(data, lines):
            case = self._reader.read(line, value)
            if case is None:
                continue
            first = cases.setdefault(case.id, case)
            if first is not case:
                lines.add(*_twice(first, case, own_id=value.get("id") is not None))
            self._check(case, scorers)
        return tuple(cases.values())

    def _check(self, case: Case, scorers: SetScorers | None) -> None:
        for problem, hint in scorers.case_faults(case) if scorers else ():
            self.faults.lines.add(problem, hint)

    def _response_schema(self, request: RequestSettings, at: tuple[str, ...]) -> object:
        return read_response_schema(request, at, self.folder, self.faults)


def _twice(first: Case, second: Case, *, own_id: bool) -> tuple[str, str]:
    if own_id:
        return f"duplicate id {second.id!r} (first used on line {first.line})", "give each case an id of its own"
    return f"the same case as on line {first.line}", "remove one of them, or give each an id"
