"""Loads eval sets from files; all errors in all files are reported together, each with its line."""

from __future__ import annotations

import os
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import EvalSetError, EvalSetErrors, ScorerError, did_you_mean
from pytest_finetune.base.files import read_regular
from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.verdicts.checks import settings_faults, settings_warnings
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer
from pytest_finetune.verdicts.evalset.copies import copies_in, copy_warnings, number_copies, same_requests
from pytest_finetune.verdicts.evalset.eval_set import (
    EvalSet,
    OtherScorer,
    joint_fingerprint,
    own_params,
    request_params,
)
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.project import configured_api
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM, Faults, read_objects
from pytest_finetune.verdicts.evalset.settings import EvalSettings, RequestSettings
from pytest_finetune.verdicts.evalset.settings_file import key_path, line_of, placed, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.request_form import Api
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.metrics.calibration import Calibration


def load_eval_sets(
    paths: Sequence[Path], *, root: Path, repeats: int | None = None, api: Api | None = None
) -> list[EvalSet]:
    """
    The eval sets of some JSONL files, in the order of the files.

    Args:
        paths: The JSONL files; settings are read from the TOML file of the same name.
        root: The folder that the sets' names are relative to.
        repeats: Requests per case; overrides `[stability]`.
        api: The API that all requests are sent to; overrides `[request]`.

    Raises:
        EvalSetErrors: All faults of all files.
        EvalSetError: `repeats` is below 1: nothing would be asked.
    """
    if repeats is not None and repeats < 1:
        raise EvalSetError(f"repeats is {repeats}", hint="every case is requested at least once")
    loads = [_Loading(path, root, repeats, api) for path in paths]
    sets = [loading.load() for loading in loads]
    faults = [fault for loading in loads for fault in loading.faults]
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


def eval_set_name(path: Path, root: Path) -> str:
    """The posix path of a file relative to the root, starting with `..` if it is outside."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:
        # Another drive on Windows.
        return path.as_posix()


def settings_sha256(settings: EvalSettings, fingerprint: str = "", api: Api | None = None) -> str:
    """
    Hash of the settings; order, layout and spelt-out defaults do not change it.

    Args:
        settings: The settings as written.
        fingerprint: The scorer's; it covers code that is not part of this package.
        api: The API demanded for all requests. It changes the hash unless the settings say the same: answers that came
            over another API are no evidence about what the project asks.
    """
    values = settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if "normalize" in settings.model_fields_set:
        # The default spelt out differs from the default: JSON values are normalized only where the settings say so.
        values["normalize"] = settings.normalize
    if settings.scorers:
        values["scorers"] = [
            each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in settings.scorers
        ]
    named = {settings.request.api, *(each.request.api or settings.request.api for each in settings.models.values())}
    demanded = "" if api is None or named == {api} else f"api={api}"
    return sha256((canonical_json(values) + fingerprint + demanded).encode()).hexdigest()


def _repeated(settings: EvalSettings, repeats: int) -> EvalSettings:
    stability = settings.stability.model_copy(update={"repeats": repeats})
    return settings.model_copy(update={"stability": stability})


class _Loading:
    """Loads one eval set with its settings and collects their faults."""

    def __init__(self, path: Path, root: Path, repeats: int | None, api: Api | None) -> None:
        self.path, self.root, self.repeats, self.api = path, root, repeats, api
        self.toml = path.with_suffix(".toml")
        self._lines = Faults(eval_set_name(path, root))
        self._keys = Faults(eval_set_name(self.toml, root))
        self._reader = CaseReader(self._lines)
        self._text = ""
        self._warnings: dict[str, None] = {}
        self._made: list[tuple[tuple[str | int, ...], str, Scorer]] = []
        self._others: dict[str, OtherScorer] = {}

    @property
    def faults(self) -> list[EvalSetError]:
        return [*self._keys.found, *self._lines.found]

    def load(self) -> EvalSet | None:
        written = self._settings()
        settings = written if written is None or self.repeats is None else _repeated(written, self.repeats)
        scorer = None if settings is None else self._scorer(settings)
        cases = self._cases(scorer)
        if settings is None or written is None:
            return None
        params = request_params(settings, self._response_schema(settings.request, ("request",)))
        own = [
            (pattern, own_params(each, self._response_schema(each.request, ("models", pattern, "request"))))
            for pattern, each in settings.models.items()
        ]
        if scorer is not None and not self._lines.found:
            for fault in settings_faults(settings, cases, is_overridden=self.repeats is not None):
                self._add_at(fault.path, fault.problem, fault.hint)
            for at, name, each in self._made:
                seen = [self._others[name].part.case(case) for case in cases] if name else cases
                for path, problem, hint in each.faults(seen):
                    self._add_at((*at, *path), problem, hint)
        if scorer is None or self.faults:
            return None
        repeated = same_requests(cases)
        return EvalSet(
            name=self._lines.name,
            path=self.path,
            cases=cases,
            settings=settings,
            scorer=scorer,
            cases_sha256=self._reader.cases_sha256(),
            settings_sha256=settings_sha256(written, joint_fingerprint(scorer, self._others), self.api),
            schema_sha256=self._schema_sha256(settings),
            warnings=(
                *dict.fromkeys((*self._scorer_warnings(), *self._warnings)),
                *settings_warnings(settings, self._reader.unsent),
                *copy_warnings(repeated, len(cases)),
            ),
            params=params,
            own_params=own,
            api=self.api,
            others=self._others,
            judge=self._calibration(scorer, settings),
            copies=copies_in(repeated),
        )

    def _settings(self) -> EvalSettings | None:
        # A broken link is a fault, not a set without settings.
        if not os.path.lexists(self.toml):
            siblings = self.path.parent.glob(f"{escape(self.path.stem)}.*")
            for other in (each for each in siblings if each.suffix.lower() == ".toml"):
                self._keys.add(f"{other.name} is not read as the settings", f"rename it to {self.toml.name}")
            return EvalSettings()
        data = _read(self.toml, self._keys)
        if data is None:
            return None
        settings, self._text = read_settings(data, self._keys)
        return settings

    def _scorer(self, settings: EvalSettings) -> Scorer | None:
        """The deciding scorer, with the others in `_others`; None if any of them cannot be made."""
        tables = list(settings.each_scorer())
        made = [(at, name, self._made_at(at, own)) for at, name, own in tables]
        self._made = [(at, name, scorer) for at, name, scorer in made if scorer is not None]
        if len(self._made) < len(tables):
            return None
        scorers = {name: scorer for _, name, scorer in self._made}
        for at, name, scorer in self._made:
            if name and isinstance(scorer, AskingScorer):
                problem = f"{scorer.name} asks another model, which only the deciding scorer may do"
                self._add_at((*at, "type"), problem, "add decides = true here")
        self._others = {name: OtherScorer(scorers[name], table.expected) for name, table in settings.others.items()}
        return scorers[""]

    def _scorer_warnings(self) -> list[str]:
        return [self._without_folder(text) for _, _, scorer in self._made for text in scorer.warnings]

    def _made_at(self, at: tuple[str | int, ...], settings: EvalSettings) -> Scorer | None:
        # The scorers read these settings: imported at the top, either package would wait for the other.
        from pytest_finetune.verdicts.scoring import make_scorer, scorer_class
        from pytest_finetune.verdicts.scoring.options import option_faults

        try:
            besides = ("name", "decides", "expected") if len(at) > 1 else ()
            faults = list(option_faults(scorer_class(settings.scorer), settings.scorer_options, besides=besides))
            for fault in faults:
                self._add_at((*at, *fault.path), fault.problem, fault.hint)
            if faults:
                return None
            return make_scorer(settings, self.path.parent)
        except ScorerError as error:
            place = self._without_folder(f"{error.where}: ") if error.where else ""
            self._add_at(self._blamed(error, settings, at), f"{place}{error.problem}", error.hint)
            return None

    def _calibration(self, scorer: Scorer, settings: EvalSettings) -> Calibration | None:
        if not isinstance(scorer, AskingScorer):
            return None
        from pytest_finetune.verdicts.calibration import read_calibration
        from pytest_finetune.verdicts.scoring.scorers.judge import JudgeScorer

        return read_calibration(self.path, scorer, settings) if isinstance(scorer, JudgeScorer) else None

    def _blamed(self, error: ScorerError, settings: EvalSettings, at: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """The setting that a scorer's error is about: the first one that its text mentions."""
        if error.where and settings.json_schema is not None:
            return (*at, "schema") if len(at) > 1 else placed(self._text, "schema")
        written = settings.model_dump(by_alias=True, exclude_unset=True).keys() - {"scorer", "scorer_options"}
        spoken = [(place, key) for key in written if (place := error.problem.find(key.removesuffix("s"))) >= 0]
        if len(at) > 1:
            return (*at, min(spoken)[1]) if spoken else (*at, "type")
        return placed(self._text, min(spoken)[1]) if spoken else at

    def _without_folder(self, text: str) -> str:
        """The text, with files in the folder of the eval set named without that folder."""
        return text.replace(f"{self.path.parent}{os.sep}", "")

    def _cases(self, scorer: Scorer | None) -> tuple[Case, ...]:
        if not os.path.lexists(self.path) and self.toml.exists():
            self._keys.add(f"these are the settings of {self.path.name}, which does not exist", _file_hint(self.path))
            return ()
        data = _read(self.path, self._lines)
        if data is None:
            return ()
        cases: dict[str, Case] = {}
        for line, value in read_objects(data, self._lines):
            case = self._reader.read(line, value)
            if case is None:
                continue
            first = cases.setdefault(case.id, case)
            if first is not case:
                self._lines.add(*_twice(first, case, own_id=value.get("id") is not None))
            if scorer is not None and case.accept and not any(each.accepts for _, _, each in self._made):
                self._lines.add(f"accept has no effect on scorer {scorer.name!r}", "expect a list: any of it is right")
            elif scorer is not None and (problem := scorer.check(case)):
                self._lines.add(problem, f"the scorer is {scorer.name}: fix the line, or use another scorer")
            for name, other in self._others.items():
                if problem := other.check(case):
                    self._lines.add(problem, f"the scorer is {name}: fix the line, or use another scorer")
        return tuple(cases.values())

    def _response_schema(self, request: RequestSettings, at: tuple[str, ...]) -> object:
        if request.response_schema is None:
            format_ = request.response_format
            inline = format_.get("json_schema") if isinstance(format_, dict) else None
            if isinstance(inline, dict) and "schema" in inline:
                self._check_response_schema(inline["schema"], (*at, "response_format"))
            return None
        path = self.path.parent / request.response_schema
        try:
            schema = parse_json(path.read_bytes().removeprefix(UTF8_BOM).decode())
        except OSError as error:
            problem, hint = f"{error.strerror}", _file_hint(path)
        except UnicodeDecodeError:
            problem, hint = "the file is not UTF-8", "save it as UTF-8"
        except JsonFault as fault:
            problem, hint = f"not strict JSON: {fault}", "it must be a JSON Schema"
        else:
            self._check_response_schema(schema, (*at, "response_schema"), request.response_schema)
            return schema
        self._add_at((*at, "response_schema"), f"{request.response_schema}: {problem}", hint)
        return None

    def _check_response_schema(self, schema: object, at: tuple[str, ...], file: str = "") -> None:
        """Check the schema as a scorer's is checked: a misspelt keyword would allow any answer."""
        from pytest_finetune.verdicts.json_schema.validation import compile_schema

        name = file or at[-1]
        try:
            self._warnings.update(dict.fromkeys(compile_schema(schema, name).warnings))
        except ScorerError as error:
            place = error.where.removeprefix(name) if not file else f"{error.where}: "
            self._add_at(at, f"{place.lstrip(': ')}{error.problem}", error.hint)

    def _schema_sha256(self, settings: EvalSettings) -> str:
        names = settings.schema_files
        digests = [
            sha256(path.read_bytes()).hexdigest() for name in names if (path := self.path.parent / name).is_file()
        ]
        return sha256("".join(digests).encode()).hexdigest() if digests else ""

    def _add_at(self, path: tuple[str | int, ...], problem: str, hint: str) -> None:
        if not self._text:
            self._lines.line = 1
            self._lines.add(problem, hint)
            return
        self._keys.line = line_of(self._text, path)
        self._keys.add(f"{key_path(path)}: {problem}", hint)


def _read(path: Path, faults: Faults) -> bytes | None:
    try:
        return read_regular(path)
    except OSError as error:
        faults.add_unreadable(error.strerror or str(error), _file_hint(path))
        return None


def _file_hint(path: Path) -> str:
    if path.parent.is_dir() and not path.exists():
        known = [other.name for other in path.parent.iterdir() if other.suffix == path.suffix]
        return did_you_mean(path.name, known) if known else f"there is no {path.suffix} file in its folder"
    return "check the path and its permissions"


def _twice(first: Case, second: Case, *, own_id: bool) -> tuple[str, str]:
    if own_id:
        return f"duplicate id {second.id!r} (first used on line {first.line})", "give each case an id of its own"
    return f"the same case as on line {first.line}", "remove one of them, or give each an id"
