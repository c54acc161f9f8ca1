"""How single fields of JSON answers are compared: `[scorer.fields."$.amount"]`, and `accept` in the lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.json_compare import ABSENT, differences, same_leaf
from pytest_finetune.base.json_path import general_path, normal_path, steps_of
from pytest_finetune.base.records import NOTHING
from pytest_finetune.verdicts.evalset.settings_base import Settings
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.scoring.needs import need
from pytest_finetune.verdicts.scoring.numerals import Tolerance
from pytest_finetune.verdicts.scoring.options import OptionFault

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from pytest_finetune.base.json_compare import Judge

_READERS = {"absolute": "number", "relative": "number", "threshold": "fuzzy", "formats": "date"}


class FieldOptions(Tolerance):
    """`[scorer.fields."$.path"]`: how one field is compared, and whether it may be missing."""

    compare: Literal["exact", "casefold", "number", "date", "set", "fuzzy"] = "exact"
    threshold: float = Field(default=1.0, gt=0, le=1, description="the lowest similarity that passes: threshold = 0.9")
    formats: list[str] = Field(default_factory=list)
    optional: bool = False
    default: Any = ABSENT

    @field_validator("formats")
    @classmethod
    def _whole_dates(cls, formats: list[str]) -> list[str]:
        day = date(2031, 12, 25)
        for each in formats:
            if _date(day.strftime(each), [each]) != day:
                raise ValueError(f"{each!r} is not the format of a date; as in Python's strptime: '%d.%m.%Y'")
        return formats

    @model_validator(mode="after")
    def _every_key_is_read(self) -> FieldOptions:
        if not self.model_fields_set:
            raise ValueError('the table is empty; say how the field is compared: compare = "number"')
        for key, reader in _READERS.items():
            if key in self.model_fields_set and self.compare != reader:
                raise ValueError(f"{key} has no effect with compare = {self.compare!r}; use compare = {reader!r}")
        if self.compare == "fuzzy" and "threshold" not in self.model_fields_set:
            raise ValueError("fuzzy needs threshold; the lowest similarity that passes: threshold = 0.9")
        if self.compare == "number" and not self.absolute and not self.relative:
            raise ValueError("number needs a tolerance; add absolute = … or relative = …, or leave compare out")
        return self


def _path(text: str) -> str:
    normal_path(text)
    return text


class FieldsOptions(Settings):
    """What the JSON scorers read from `[scorer]`."""

    fields: dict[Annotated[str, AfterValidator(_path)], FieldOptions] = Field(default_factory=dict)

    @field_validator("fields", mode="after")
    @classmethod
    def _by_normal_path(cls, fields: dict[str, FieldOptions]) -> dict[str, FieldOptions]:
        normal = {normal_path(path): options for path, options in fields.items()}
        if len(normal) < len(fields):
            raise ValueError("two tables are for one field; keep one of them")
        return normal


@dataclass(frozen=True, slots=True)
class FieldRules:
    """
    The fields that are not simply compared leaf by leaf.

    Args:
        fields: By normal path, `[*]` standing for every index.
        same: Whether two leaves are equal.
        normalize: Applied to text before it is compared.
        calls: The values are calls by name, and what holds for a function holds for its second call, `name#2`, too.
    """

    fields: Mapping[str, FieldOptions] = field(default_factory=dict)
    same: Callable[[Any, Any], bool] = same_leaf
    normalize: Callable[[str], str] = str
    calls: bool = False

    def judge(self, accept: Mapping[str, Any] = NOTHING) -> Judge | None:
        """What `differences` asks at each path; None if there is nothing special about any of them."""
        if not self.fields and not accept:
            return None

        def judge(path: str, expected: Any, got: Any) -> bool | None:
            options = self._options(path)
            if options is not None:
                if options.default is not ABSENT:
                    expected, got = (options.default if value is ABSENT else value for value in (expected, got))
                if got is ABSENT and options.optional:
                    return True
            if path in accept and got is not ABSENT and any(self._equal(options, each, got) for each in accept[path]):
                return True
            if options is None or (options.compare == "exact" and options.default is ABSENT):
                return None
            return expected is not ABSENT and got is not ABSENT and self._equal(options, expected, got)

        return judge

    def faults(self, paths: Iterable[str]) -> Iterator[OptionFault]:
        """The fields that none of these paths has, or could have: a misspelt one would never be compared as asked."""
        known = {general_path(path, calls=self.calls) for path in paths}
        parents = {_parent(path) for path in known} | known
        for path, options in self.fields.items():
            general = general_path(path)
            may_be_absent = options.optional or options.default is not ABSENT
            if general not in known and not (may_be_absent and _parent(general) in parents):
                place = ("fields", path)
                yield OptionFault(place, f"no case expects {path}", did_you_mean(general, known))

    def unusable(self, found: Mapping[str, Any]) -> str | None:
        """Why an expected value, given as all its paths and values, cannot be compared as asked; None if it can."""
        for path, value in found.items():
            options = self._options(path)
            problem = _unusable(options, value) if options else ""
            if problem:
                return f"expected {path} is {problem}"
        return None

    def _options(self, path: str) -> FieldOptions | None:
        if (exact := self.fields.get(path)) is not None or not self.fields:
            return exact
        return self.fields.get(general_path(path, calls=self.calls))

    def _equal(self, options: FieldOptions | None, expected: Any, got: Any) -> bool:
        if next(differences(expected, got, self.same), None) is None:
            return True
        if options is None:
            return False
        if options.compare == "set":
            both_lists = isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got)
            return both_lists and Counter(map(self._key, expected)) == Counter(map(self._key, got))
        if options.compare == "number":
            both = _is_number(expected) and _is_number(got)
            return both and options.accepts(as_written(expected), as_written(got))
        if options.compare in _OF_TEXT:
            both = isinstance(expected, str) and isinstance(got, str)
            return both and _OF_TEXT[options.compare](options, self.normalize(expected), self.normalize(got))
        return False

    def _key(self, value: Any) -> Hashable:
        """Equal for values that are equal, whatever the order of keys."""
        if isinstance(value, dict):
            return frozenset((key, self._key(item)) for key, item in value.items())
        if isinstance(value, list):
            return tuple(map(self._key, value))
        return isinstance(value, bool), self.normalize(value) if isinstance(value, str) else value


def accept_fault(accept: Mapping[str, Any], paths: Iterable[str]) -> str | None:
    """Why the `accept` of a line has no effect on a value with these paths; None if all of it has."""
    known = set(paths)
    for path in accept:
        if path not in known and _parent(path) not in known:
            return f"accept: nothing is expected at {path}; {did_you_mean(path, known)}"
    return None


def check_fuzzy(fields: Mapping[str, FieldOptions]) -> None:
    """
    A field compared with `fuzzy` needs its library.

    Raises:
        ScorerError: rapidfuzz is not installed.
    """
    if any(options.compare == "fuzzy" for options in fields.values()):
        need("rapidfuzz", "text", "compare = 'fuzzy'")


def _parent(path: str) -> str:
    return "$" + "".join(steps_of(path)[:-1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _casefold(options: FieldOptions, expected: str, got: str) -> bool:  # noqa: ARG001 - all comparisons are called alike
    return expected.casefold() == got.casefold()


def _same_date(options: FieldOptions, expected: str, got: str) -> bool:
    wanted = _date(expected, options.formats)
    return wanted is not None and wanted == _date(got, options.formats)


def _date(text: str, formats: Iterable[str]) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    for each in formats:
        try:
            return datetime.strptime(text, each).date()  # noqa: DTZ007 - a date has no time zone
        except ValueError:
            continue
    return None


def _similar(options: FieldOptions, expected: str, got: str) -> bool:
    from rapidfuzz.distance import Indel

    # The hair is the noise of floating point.
    return Indel.normalized_similarity(expected, got) >= options.threshold - 1e-9


_OF_TEXT: dict[str, Callable[[FieldOptions, str, str], bool]] = {
    "casefold": _casefold,
    "date": _same_date,
    "fuzzy": _similar,
}


def _unusable(options: FieldOptions, value: Any) -> str:
    """Why a value cannot be compared so, in one clause; empty if it can. `null` may be expected anywhere."""
    if value is None:
        return ""
    if options.compare == "number" and not _is_number(value):
        return "not a number"
    if options.compare == "set" and not isinstance(value, list):
        return "not a list"
    if options.compare in _OF_TEXT and not isinstance(value, str):
        return "not text"
    return "not a date" if options.compare == "date" and _date(value, options.formats) is None else ""
