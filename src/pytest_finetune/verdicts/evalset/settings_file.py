"""Reads the settings of an eval set from TOML; each fault is reported at the line of its key."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, time
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.verdicts.evalset.gate_settings import GATE_KEYS
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.evalset.settings_errors import explained
from pytest_finetune.verdicts.evalset.toml_lines import key_path, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from pytest_finetune.verdicts.evalset.reading import Faults

_SHARED = ("normalize", "labels", "schema", "dialect", "scorer_files")
"""Settings of scorers that may be written at the top of the file or in the table `[scorer]`."""


def read_settings(data: bytes, faults: Faults) -> tuple[EvalSettings | None, str]:
    """
    The settings of a TOML file and its text; no settings when there is a fault.

    The text is there to find the line of a key with `line_of`.
    """
    try:
        text = data.removeprefix(UTF8_BOM).decode()
    except UnicodeDecodeError as error:
        faults.line = data.count(b"\n", 0, error.start) + 1
        faults.add(f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")
        return None, ""
    values = _parse(text, faults)
    if values is None:
        return None, text
    before = len(faults.found)
    for path, problem in _unsendable(values, ()):
        faults.line = line_of(text, path)
        faults.add(f"{key_path(path)}: {problem}", "write a finite number, text, true or false")
    values = _with_typed_scorers(_with_scorer_name(values, text, faults), text, faults)
    settings = _validate(values, text, faults)
    return (settings, text) if len(faults.found) == before else (None, text)


def _parse(text: str, faults: Faults) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except RecursionError:
        faults.add("nested too deeply", "flatten the value")
    except ValueError as error:
        message = str(error)
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", message)
        if found:
            faults.line = int(found[1]) if found[1] else text.rstrip().count("\n") + 1
        faults.add(f"not TOML: {message}", "put text in double quotes, lists in brackets, one key = value per line")
    return None


def _unsendable(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Values that TOML has and JSON has not: nothing could send them or compare with them."""
    if isinstance(value, float) and not isfinite(value):
        yield path, f"{value} is not a finite number"
    elif isinstance(value, datetime | date | time):
        yield path, "JSON has no dates"
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unsendable(item, (*path, key))


def placed(text: str, key: str) -> tuple[str, ...]:
    """The path to a setting of scorers, or to the scorer's name, which may be written in the table `[scorer]`."""
    table = tomllib.loads(text).get("scorer")
    if isinstance(table, dict) and key == "scorer":
        return ("scorer", "type")
    return ("scorer", key) if isinstance(table, dict) and key in table else (key,)


def _with_scorer_name(values: dict[str, Any], text: str, faults: Faults) -> dict[str, Any]:
    """The settings with the scorer's name in place of the table `[scorer]`, if it is one: its keys are spread."""
    table = values.get("scorer")
    if "scorer_options" in values:
        _add(faults, text, ("scorer_options",), "unknown key", 'write a table: [scorer], and in it type = "…"')
    if not isinstance(table, dict):
        return {key: value for key, value in values.items() if key != "scorer_options"}
    rest = {key: value for key, value in table.items() if key not in (*_SHARED, "type")}
    shared = {key: table[key] for key in _SHARED if key in table}
    for key in shared.keys() & values.keys():
        _add(faults, text, ("scorer", key), f"{key} is also at the top of the file", "keep one of them")
    if "type" not in table:
        hint = did_you_mean("type", rest) if "name" not in rest else "did you mean 'type'?"
        _add(faults, text, ("scorer",), "the table has no type", f'{hint}; name the scorer: type = "exact"')
    return {**values, **shared, "scorer": table.get("type", "exact"), "scorer_options": rest}


def _with_typed_scorers(values: dict[str, Any], text: str, faults: Faults) -> dict[str, Any]:
    """The settings with a type in every table of `[[scorers]]`, whose faults as a list are reported here."""
    tables = values.get("scorers")
    if tables is None:
        return values
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        hint = 'write a table for each scorer: [[scorers]], and in it type = "exact"'
        _add(faults, text, ("scorers",), "not a list of tables", hint)
        return {key: value for key, value in values.items() if key != "scorers"}
    for key in ("scorer", *_SHARED):
        if key in values:
            _add(faults, text, placed(text, key), "does not go with [[scorers]]", "write it into one of their tables")
    seen: set[str] = set()
    deciding = [index for index, table in enumerate(tables) if table.get("decides") is True]
    if "expected" in tables[decider := (deciding or [0])[0]]:
        hint = "the scorer that decides compares with the case's expected answer; leave expected out"
        _add(faults, text, ("scorers", decider, "expected"), "has no effect here", hint)
    for index in deciding[1:]:
        _add(
            faults,
            text,
            ("scorers", index, "decides"),
            "another scorer decides too",
            "only one scorer decides what passed",
        )
    for index, table in enumerate(tables):
        if "type" not in table:
            _add(faults, text, ("scorers", index), "the table has no type", 'name the scorer: type = "exact"')
        name = str(table.get("name") or table.get("type"))
        if name in seen:
            _add(faults, text, ("scorers", index), f"two scorers are called {name!r}", 'give one a name: name = "…"')
        seen.add(name)
    return {**values, "scorers": [{"type": "exact", **table} for table in tables]}


def _add(faults: Faults, text: str, path: tuple[str | int, ...], problem: str, hint: str) -> None:
    faults.line = line_of(text, path)
    faults.add(f"{key_path(path)}: {problem}", hint)


def _validate(values: dict[str, Any], text: str, faults: Faults) -> EvalSettings | None:
    try:
        return EvalSettings.model_validate(values).settled()
    except ValidationError as error:
        by_place: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
        for detail in error.errors(include_url=False):
            by_place.setdefault(_written(values, detail), []).append(detail)
    for path, details in by_place.items():
        place = (*placed(text, str(path[0])), *path[1:]) if path and path[0] in (*_SHARED, "scorer") else path
        _add(faults, text, place, *explained(details))
    return None


def _written(values: Any, detail: ErrorDetails) -> tuple[str | int, ...]:
    """The part of an error's location that is in the file; pydantic adds the names of a union's members."""
    path: list[str | int] = []
    for key in detail["loc"]:
        if key in GATE_KEYS:
            continue
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            break
        path.append(key)
    return tuple(path)
