"""
The format checks of JSON Schema, within the time limit.

Dates, times, addresses of mail and of machines need nothing but Python. Those in `_LIBRARIES` need the extra
`[formats]`: without it, a schema that names one is refused rather than left unchecked.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jsonschema import Draft4Validator, Draft6Validator, Draft7Validator, FormatChecker

from pytest_finetune.verdicts.json_schema.pattern import is_pattern, within_budget

if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARIES = {
    "hostname": (),
    "uri": (),
    "uri-reference": (Draft4Validator,),
    "uri-template": (Draft4Validator,),
    "json-pointer": (Draft4Validator,),
    "iri": (Draft4Validator, Draft6Validator),
    "iri-reference": (Draft4Validator, Draft6Validator),
    "relative-json-pointer": (Draft4Validator, Draft6Validator),
    "duration": (Draft4Validator, Draft6Validator, Draft7Validator),
}
"""Formats that a library of the extra checks, and the dialects that do not define them yet."""

INSTALL_FORMATS = "pip install 'pytest-finetune[formats]'"
"""How to install the libraries of formats."""

_DATE_TIME = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)[Tt](?P<time>.*)", re.ASCII)
_TIME = re.compile(
    r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d|60)(\.\d+)?"
    r"([Zz]|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3]):(?P<minutes>[0-5]\d))",
    re.ASCII,
)
_DAY = 24 * 60
"""Minutes."""


@lru_cache(maxsize=8)
def formats(dialect: Any) -> FormatChecker:
    """The dialect's format checks; those of IRIs and patterns take linear time and memory."""
    checker = FormatChecker(formats=())
    checks: dict[str, Any] = dict(dialect.FORMAT_CHECKER.checkers)
    for name in ("uri", "uri-reference"):
        if name in checks and _defines(dialect, name.replace("uri", "iri")):
            checks[name.replace("uri", "iri")] = (_as_uri(checks[name][0]), ValueError)
    checks["regex"] = (_if_text(is_pattern), ())
    checks["date-time"] = (_if_text(_is_date_time), ())
    if dialect not in (Draft4Validator, Draft6Validator):
        checks["time"] = (_if_text(_is_time), ())
    checker.checkers = {name: (within_budget(name, check), raises) for name, (check, raises) in checks.items()}
    return checker


def lacks_library(dialect: Any, name: str) -> bool:
    """Whether the dialect defines a format that cannot be checked without the extra `[formats]`."""
    return name in _LIBRARIES and _defines(dialect, name) and name not in formats(dialect).checkers


def _defines(dialect: Any, name: str) -> bool:
    return dialect not in _LIBRARIES[name]


def _if_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or check(value)


def _as_uri(check: Any) -> Callable[[object], bool]:
    # RFC 3987, 3.1: an IRI maps to a URI by percent-encoding what is not ASCII.
    return _if_text(lambda text: bool(check("".join(c if c.isascii() else quote(c, errors="replace") for c in text))))


def _is_date_time(text: str) -> bool:
    """RFC 3339, 5.6: `2026-11-29T08:30:00Z`."""
    match = _DATE_TIME.fullmatch(text)
    try:
        return match is not None and bool(date.fromisoformat(match["date"])) and _is_time(match["time"])
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    """RFC 3339, 5.6: `08:30:00+01:00`. A leap second is the last of a day in UTC."""
    match = _TIME.fullmatch(text)
    if not match or match["second"] != "60":
        return match is not None
    ahead = int(f"{match['sign'] or '+'}1") * (int(match["hours"] or 0) * 60 + int(match["minutes"] or 0))
    return (int(match["hour"]) * 60 + int(match["minute"]) - ahead) % _DAY == _DAY - 1
