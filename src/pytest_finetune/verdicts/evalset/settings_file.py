"""Reads the settings of an eval set from TOML; each fault is reported at the line of its key."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, time
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.verdicts.evalset.gate_settings import GATE_KEYS, ONE_RULE
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM
from pytest_finetune.verdicts.evalset.settings import (
    AnswerSettings,
    EvalSettings,
    ModelSettings,
    RequestSettings,
    ScorerSettings,
    StabilitySettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

    from pytest_finetune.verdicts.evalset.reading import Faults

_MODEL_TABLE = 3
"""Length of the path to a key right under `[models."PATTERN"]`."""

_TOP = "the top of the file, above any [table]"
_TABLES: dict[str, list[str]] = {
    _TOP: [field.alias or name for name, field in EvalSettings.model_fields.items() if name != "scorer_options"],
    "[[scorers]]": [field.alias or name for name, field in ScorerSettings.model_fields.items()],
    "[request]": list(RequestSettings.model_fields),
    "[answer]": list(AnswerSettings.model_fields),
    "[models]": list(ModelSettings.model_fields),
    "[stability]": list(StabilitySettings.model_fields),
    "[[gates]]": list(dict.fromkeys(key for keys in GATE_KEYS.values() for key in keys)),
}
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


def key_path(path: Sequence[str | int]) -> str:
    """A path of keys as people write it: `gates[0].metric`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """
    The 1-based line of a TOML text where the value at a path is written.

    Found by searching the text: a key inside a multi-line string can mislead it, which then gives the line of the
    table, or the first line.
    """
    lines = text.split("\n")
    first, end, rest = _table(lines, path)
    for key in reversed([key for key in rest if isinstance(key, str)]):
        written = re.compile(rf"""(?:^|[\s{{,.])["']?{re.escape(key)}["']?\s*[.=]""")
        for index in range(first, end):
            if written.search(lines[index]):
                return index + 1
    return max(first, 1)


def _table(lines: list[str], path: Sequence[str | int]) -> tuple[int, int, list[str | int]]:
    """First line after the header of the innermost table on the path, the line it ends at, and the rest of the path."""
    headers = [(index, name) for index, line in enumerate(lines) if (name := _header(line))]
    for length in range(len(path), 0, -1):
        *parents, last = path[:length]
        name = tuple(key for key in path[:length] if isinstance(key, str))
        wanted = last if isinstance(last, int) else 0
        starts = [place for place, (_, header) in enumerate(headers) if header == name]
        if wanted < len(starts) and (parents or not isinstance(last, int)):
            place = starts[wanted]
            end = headers[place + 1][0] if place + 1 < len(headers) else len(lines)
            return headers[place][0] + 1, end, list(path[length:])
    return 0, headers[0][0] if headers else len(lines), list(path)


def _header(line: str) -> tuple[str, ...]:
    """The keys of a table's header, `[models."gpt-6-*".request]`; empty for any other line."""
    if not line.lstrip().startswith("["):
        return ()
    try:
        inside: Any = tomllib.loads(line)
    except ValueError:
        return ()
    keys: list[str] = []
    while inside:
        if isinstance(inside, list):
            inside = inside[0]
        else:
            ((key, inside),) = inside.items()
            keys.append(key)
    return tuple(keys)


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
        _add(faults, text, place, *_explained(details))
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


def _explained(details: list[ErrorDetails]) -> tuple[str, str]:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return _misplaced(first["loc"]) or ("unknown key", _key_hint(first["loc"]))
    if first["type"] == "no_rule":
        return first["msg"], _misspelt_rule(first["input"])
    if first["type"] == "misfit":
        return first["ctx"]["problem"], first["ctx"]["hint"]
    if first["type"] == "missing" and (kind := _gate_kind(first["loc"])):
        return f"{kind} needs {first['loc'][-1]}", 'name the baseline: against = "production"'
    if first["type"] == "literal_error" and len(details) == 1:
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"unknown value {first['input']!r}", did_you_mean(str(first["input"]), known)
    messages = [detail["msg"].removeprefix("Value error, ") for detail in details]
    problem, _, hint = "; or ".join(dict.fromkeys(messages)).partition("; did you mean ")
    return problem, f"did you mean {hint}" if hint else ""


def _misspelt_rule(gate: object) -> str:
    """The first key of a gate without a rule that no gate has, with the key that may be meant."""
    known = {key for keys in GATE_KEYS.values() for key in keys}
    unknown = [key for key in gate if key not in known] if isinstance(gate, dict) else []
    return f"unknown key {unknown[0]!r}; {did_you_mean(unknown[0], sorted(known))}" if unknown else ""


def _gate_kind(place: tuple[str | int, ...]) -> str:
    """The rule of the gate that an error is about, as written; empty outside gates."""
    return next((str(key).strip("[]") for key in place if key in GATE_KEYS), "")


def _misplaced(place: tuple[str | int, ...]) -> tuple[str, str] | None:
    """A key of another kind of gate, and the kinds that it goes with."""
    key, kind = str(place[-1]), _gate_kind(place)
    others = [tag.strip("[]") for tag, keys in GATE_KEYS.items() if key in keys]
    if not kind or not others:
        return None
    is_rule = any(key in other.split(" or ") for other in others)
    return f"does not go with {kind}", ONE_RULE if is_rule else f"{key} goes with {' or '.join(others)}"


def _key_hint(place: tuple[str | int, ...]) -> str:
    """Where an unknown key belongs: a neighbour of nearly the same name, or another table."""
    key, table = str(place[-1]), _TOP
    if place[0] == "models":
        # After the pattern come the tables that a whole set has, too.
        table = "[models]" if len(place) == _MODEL_TABLE else f"[{place[_MODEL_TABLE - 1]}]"
    elif place[1:]:
        table = next((name for name in (f"[{place[0]}]", f"[[{place[0]}]]") if name in _TABLES), _TOP)
    for other, keys in _TABLES.items():
        if other != table and key in keys:
            return f"{key} belongs to {other}"
    hint = did_you_mean(key, _TABLES[table])
    if table == _TOP and not hint.startswith("did you mean"):
        return f'{hint}; the settings of a scorer are in [scorer], with type = "…"'
    return hint
